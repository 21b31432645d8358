/** What clients call ticks and their members. */

/** Characters of the longest `data_type` of a tick. It is part of keys, topics and frames. */
export const TYPE_LENGTH_MAX = 256;

/** The first of these by which a record has an id, where `id_col` names none. */
export const ID_MEMBERS = ["id", "trade_id", "tradeid", "i"] as const;

/** Where a quote has no value of the name itself, this one's counts. */
export const QUOTE_ALIASES = { price: "bid_price", size: "bid_size" } as const;
