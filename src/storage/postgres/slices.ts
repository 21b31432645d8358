/** Rows that one statement carries as arrays: about 2 MB of text. */
export const ROWS_PER_STATEMENT = 20_000;

/** One after the other, of at most that many. */
export function* slices<T>(items: T[], count: number): Generator<T[]> {
  if (items.length > 0 && items.length <= count) yield items;
  else for (let at = 0; at < items.length; at += count) yield items.slice(at, at + count);
}
