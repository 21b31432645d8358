/** Where the updates of a ticker begin that were committed from a moment on. */
import type { StoredUpdate, UpdateReader } from "./update-contract.ts";

/**
 * An update has its time shortly before its commit. One that was committed from a moment on may
 * have a time earlier by what a commit takes: so much earlier is looked, and a few updates come
 * again rather than one is lost.
 */
const COMMIT_MAX_MS = 5_000;
const ONE = { updates: 1, characters: 1 };

/**
 * Some 20 look-ups by position: stored updates are in order of their time too.
 *
 * @returns The position after which they follow, the newest if there are none; null if the first of
 *   them may be no longer kept.
 */
export async function positionBefore(
  reader: UpdateReader,
  ticker: string,
  timeMs: number,
): Promise<number | null> {
  const fromMs = timeMs - COMMIT_MAX_MS;
  const { position: newest, savedAtMs } = await reader.newest(ticker);
  // Of many tickers most had nothing since.
  if (newest === 0 || (savedAtMs !== null && savedAtMs < fromMs)) return newest;
  const first = await nextUpdate(reader, ticker, 0);
  if (first === undefined) return null;
  if (first.savedAtMs >= fromMs) return first.position === 1 ? 0 : null;
  let before = first.position;
  let from = newest + 1;
  while (from - before > 1) {
    const middle = Math.floor((before + from) / 2);
    const update = await nextUpdate(reader, ticker, middle - 1);
    // One that is gone meanwhile was the older half.
    if (update?.position === middle && update.savedAtMs >= fromMs) from = middle;
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
