/**
 * Reads one series of stored rows, oldest first, in small batches. No connection or snapshot is
 * held between batches: a replay in real time takes hours.
 *
 * Each read asks for a window of time. The window grows where rows are few and shrinks where they
 * are many, so that a night takes a few reads and a busy minute several. Many rows may share a
 * stamp: a batch that ends among them is continued by their count.
 */
import { microsOfStamp } from "../market/stamp-micros.ts";
import { STATUS } from "../protocol/codes.ts";
import { hasStatus } from "../protocol/errors.ts";
import type { JsonRecord } from "../protocol/json.ts";
import { turn } from "../time/pauses.ts";
import type { Timed } from "./merge-by-time.ts";

export interface StoredRow extends Timed {
  record: JsonRecord;
}

export interface SeriesQuery {
  /** The member that holds a row's stamp. */
  stampName: string;
  /** Reads the first rows of a window, bounds inclusive; may give others, which are skipped. */
  read(window: { from: number; to: number; limit: number }): AsyncIterable<JsonRecord[]>;
  fromMicros: number;
  toMicros: number;
  rowsMax: number;
  /** Awaited before each read, which takes some ms of the event loop; null: go on at once. */
  turn?: (() => Promise<void> | null) | undefined;
  signal: AbortSignal;
}

const FIRST_WINDOW_MICROS = 600e6;
const WINDOW_MICROS_MIN = 1e3;
const WINDOW_GROWTH = 8;
/** A lost database may be back in a moment: a replay retries this often. */
const READ_TRIES = 10;
const READ_PAUSE_MS = 1_000;

/** @throws RequestError the database didn't answer. */
export async function* storedSeries(query: SeriesQuery): AsyncGenerator<StoredRow[]> {
  const { toMicros, signal } = query;
  let from = query.fromMicros;
  /** Rows at exactly `from` that were returned already. */
  let given = 0;
  let window = FIRST_WINDOW_MICROS;
  while (from <= toMicros && !signal.aborted) {
    await query.turn?.();
    if (signal.aborted) return;
    const to = Math.min(toMicros, from + window);
    const { rows, isWhole } = await readPatiently(query, from, to, given);
    if (rows.length > 0) yield rows;
    if (isWhole) {
      if (rows.length < query.rowsMax / WINDOW_GROWTH) window *= WINDOW_GROWTH;
      from = to + 1;
      given = 0;
      // A reader may answer without waiting for anything: others have their turn, however long
      // nothing is found.
      if (rows.length === 0) await turn();
      continue;
    }
    const last = rows.at(-1)!.atMicros;
    window = Math.max(WINDOW_MICROS_MIN, last - from);
    const sharing = rows.length - rows.findIndex((row) => row.atMicros === last);
    given = last === from ? given + sharing : sharing;
    from = last;
  }
}

interface Batch {
  rows: StoredRow[];
  /** Whether the window holds no more. */
  isWhole: boolean;
}

async function readPatiently(query: SeriesQuery, from: number, to: number, given: number): Promise<Batch> {
  for (let tries = 1; ; tries++) {
    try {
      return await readBatch(query, from, to, given);
    } catch (error) {
      if (!hasStatus(error, STATUS.unavailable) || tries === READ_TRIES || query.signal.aborted) throw error;
      await Bun.sleep(READ_PAUSE_MS);
    }
  }
}

async function readBatch(query: SeriesQuery, from: number, to: number, given: number): Promise<Batch> {
  const rows: StoredRow[] = [];
  let toSkip = given;
  for await (const records of query.read({ from, to, limit: given + query.rowsMax + 1 })) {
    for (const record of records) {
      const atMicros = microsOfStamp(String(record[query.stampName]));
      // Other programs may have written values that are no stamps.
      if (!(atMicros >= from && atMicros <= to)) continue;
      if (atMicros === from && toSkip > 0) toSkip--;
      else if (rows.length === query.rowsMax) return { rows, isWhole: false };
      else rows.push({ atMicros, record });
    }
  }
  return { rows, isWhole: true };
}
