/** Where the updates of a ticker begin that were committed from a moment on. */
import type { StoredUpdate, UpdateReader } from "./update-contract.ts";

const ONE = { updates: 1, characters: 1 };

/**
 * Some 20 look-ups by position: stored updates are in order of their time too.
 *
 * @returns The position after which they follow, the newest if there are none; null if the first of them may be no longer kept.
 */
export async function positionBefore(
  reader: UpdateReader,
  ticker: string,
  timeMs: number,
): Promise<number | null> {
  const newest = (await reader.positions([ticker])).get(ticker) ?? 0;
  if (newest === 0) return 0;
  // Of many tickers most had nothing since.
  const last = await nextUpdate(reader, ticker, newest - 1);
  if (last?.seq === newest && last.savedAtMs < timeMs) return newest;
  const first = await nextUpdate(reader, ticker, 0);
  if (first === undefined) return null;
  if (first.savedAtMs >= timeMs) return first.seq === 1 ? 0 : null;
  let before = first.seq;
  let from = newest + 1;
  while (from - before > 1) {
    const middle = Math.floor((before + from) / 2);
    const update = await nextUpdate(reader, ticker, middle - 1);
    // One that is gone meanwhile was the older half.
    if (update?.seq === middle && update.savedAtMs >= timeMs) from = middle;
    else before = middle;
  }
  return before;
}

async function nextUpdate(
  reader: UpdateReader,
  ticker: string,
  after: number,
): Promise<StoredUpdate | undefined> {
  return (await reader.after(ticker, after, ONE))[0];
}
