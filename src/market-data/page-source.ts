/** What a page is read from: it doesn't wait behind answers without a bound. */
import type { MarketSource } from "./questions.ts";

/** A page with more rows waits with the large answers. */
export const PAGE_ROWS_MAX = 10_000;

/** @param limit of the question; absent or null: it is no page. */
export function sourceOf(reader: MarketSource, limit: number | null | undefined): MarketSource {
  if (limit == null || limit > PAGE_ROWS_MAX) return reader;
  const { updates } = reader;
  return {
    updates,
    columns: (query) => reader.columns({ ...query, line: "page" }),
    newest: (query) => reader.newest(query),
    newestOfParts: (query, signal) => reader.newestOfParts(query, signal),
    parts: (...of) => reader.parts(...of),
    rows: (...of) => reader.rows(...of),
    tickers: (...of) => reader.tickers(...of),
  };
}
