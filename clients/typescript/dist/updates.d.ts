/** What a stream gives. Stamps are texts, `2024-01-02T14:30:00.123456Z`. */
/** An update stands at its place among those of its ticker: 1, 2, 3 … */
interface Placed {
    ticker: string;
    position: number;
    /** The database in which positions count. */
    epoch: string;
    /** With `slow: "conflate"`: so many updates are folded into it. */
    conflated?: number;
    /** It can't be told in this shape: why, and what was stored. `records` is absent then. */
    unreadable?: string;
    raw?: unknown;
}
export interface TradeRecord {
    timestamp: string;
    price: number | null;
    size: number | null;
    ask_price?: number;
    ask_size?: number;
    id?: string;
    extra?: Record<string, unknown>;
}
export interface QuoteRecord {
    timestamp: string;
    bid_price: number | null;
    bid_size: number | null;
    ask_price: number | null;
    ask_size: number | null;
}
/** What a save has brought of a bar. */
export interface BarRecord {
    timestamp: string;
    open?: number;
    high?: number;
    low?: number;
    close?: number;
    volume?: number;
    vwap?: number;
    trade_count?: number;
    extra?: Record<string, unknown>;
}
/** Bars that the server makes of trades or quotes. A bar without a trade left has nulls. */
export interface LiveBar {
    timestamp: string;
    end: string;
    open: number | null;
    high: number | null;
    low: number | null;
    close: number | null;
    volume: number | null;
    vwap: number | null;
    trade_count: number | null;
}
interface OfBars {
    ticker: string;
    /** The bars are those of the stored trades up to here. */
    position: number;
    epoch: string;
    timeframe: string;
}
export type Update = (Placed & {
    type: "trade";
    records: TradeRecord[];
}) | (Placed & {
    type: "quote";
    records: QuoteRecord[];
}) | (Placed & {
    type: "tick";
    dataType: string;
    records: TradeRecord[];
}) | (Placed & {
    type: "bar";
    interval: string;
    records: BarRecord[];
}) | (Placed & {
    type: "option" | "financial" | "corporate_action";
    records: Record<string, unknown>[];
}) | (Placed & {
    type: "tick_delete" | "bar_delete" | "ticker_rename";
    [member: string]: unknown;
}) | (OfBars & {
    type: "bars" | "updated_bars" | "partial_bars";
    records: LiveBar[];
}) | (OfBars & {
    type: "bars_gap";
    start: string | null;
    end: string | null;
    reason: string;
}) | SnapshotUpdate | Gap | FeedUpdate;
/** With `snapshot`, and after a gap. It holds all updates up to its position. */
export interface SnapshotUpdate {
    type: "snapshot";
    ticker: string;
    position: number;
    epoch: string;
    quote: QuoteRecord | null;
    trade: TradeRecord | null;
    /** By their lengths. */
    bars: Record<string, (BarRecord & {
        timestamp: string;
    }) | null>;
}
/**
 * Updates that can't be told. Those of `from` to `to` are missing; `from` is null where positions
 * before mean nothing, as the database is another one.
 */
export interface Gap {
    type: "gap";
    ticker: string;
    from: number | null;
    to: number;
    epoch: string;
    /** `not_kept`, `slow`, `epoch_changed`, `position_ahead`. */
    reason: string;
    /** What the ticker is at `to`, where the server has told it with the gap. */
    snapshot: Omit<SnapshotUpdate, "type" | "ticker" | "position" | "epoch"> | null;
}
/** With `--stale-after` of the server: a feed has gone mute, or is heard again. It has no place. */
export interface FeedUpdate {
    type: "feed_stale" | "feed_alive";
    ticker: string;
    timestamp: string;
    data_type: string;
    interval?: string;
    received: string;
    age: number;
    newest: string | null;
    reason?: string;
}
/** A frame as it comes. */
export interface Frame {
    type: string;
    ticker?: string;
    position?: number;
    epoch?: string;
    positions?: Record<string, number>;
    updates?: Frame[];
    [member: string]: unknown;
}
/** Every other type of ticks has the name that its writer gave it. */
export declare function asUpdate(frame: Frame): Update;
export {};
