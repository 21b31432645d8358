/** Alpaca's names of feeds. All have the same data here: what is stored is of one feed. */
export const FEEDS: readonly string[] = ["sip", "iex", "delayed_sip", "otc", "boats", "overnight", "test"];
