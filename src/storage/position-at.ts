/** Finds the position before the updates that were committed from a moment on. */
import type { StoredUpdate, UpdateReader } from "./update-contract.ts";

/**
 * An update's time is earlier than its commit by at most this. So a few updates may come again, but
 * none is lost.
 */
const COMMIT_MAX_MS = 5_000;
const ONE = { updates: 1, characters: 1 };

/**
 * Some 20 look-ups, as stored updates are in order of time.
 * @returns The newest position where no update follows; null: the first that follows may be
 *   trimmed.
 */
export async function positionBefore(
  reader: UpdateReader,
  ticker: string,
  timeMs: number,
): Promise<number | null> {
  const fromMs = timeMs - COMMIT_MAX_MS;
  const { position: newest, savedAtMs } = await reader.newest(ticker);
  // Most of many tickers had nothing since.
  if (newest === 0 || (savedAtMs !== null && savedAtMs < fromMs)) return newest;
  const first = await nextUpdate(reader, ticker, 0);
  if (first === undefined) return null;
  if (first.savedAtMs >= fromMs) return first.position === 1 ? 0 : null;
  let before = first.position;
  let from = newest + 1;
  while (from - before > 1) {
    const middle = Math.floor((before + from) / 2);
    const update = await nextUpdate(reader, ticker, middle - 1);
    // An update that was trimmed meanwhile was older.
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
