/** The series of a walk over columns: by ticker, then by part, as their bytes in UTF-8 compare. */
import type { ColumnQuery } from "./model/columns.ts";

/** The order of UTF-16 is another. */
export function compareTexts(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** As they are stored, each once. */
export function inByteOrder(texts: readonly string[]): string[] {
  const bytes = new Map(texts.map((text) => [text.toWellFormed(), Buffer.from(text)]));
  return [...bytes].sort(([, a], [, b]) => Buffer.compare(a, b)).map(([text]) => text);
}

/** Those of the tickers that the walk goes through, each once. */
export function tickersInOrder(tickers: readonly string[], { after }: ColumnQuery): string[] {
  const all = inByteOrder(tickers);
  return after == null ? all : all.filter((ticker) => compareTexts(ticker, after.ticker) >= 0);
}

/** As `tickersInOrder`, of one ticker. @param parts of a kind that has some. */
export function partsInOrder(ticker: string, parts: readonly string[], { after }: ColumnQuery): string[] {
  const all = inByteOrder(parts);
  return after == null || ticker !== after.ticker
    ? all
    : all.filter((part) => compareTexts(part, after.part ?? "") >= 0);
}
