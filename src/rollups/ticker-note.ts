/**
 * How far the roll-ups of a ticker are, as the database keeps it. Every write of a roll-up changes
 * it, and is refused where it isn't as it was read: so of two that write at once, one is undone.
 */
import { isObject } from "../protocol/json.ts";
import { spansFrom, type TimeSpan } from "./spans.ts";

export interface TickerNote {
  /** In whose updates `to` counts: another than that of the note, where it was renamed since. */
  ticker: string;
  /** Counts the writes, so that each changes the text. */
  step: number;
  /** In which `to` counts. */
  epoch: string;
  /** The bars have what the updates up to this position have changed, but for `todo`. */
  to: number;
  /** Labels of the series that were made. */
  intervals: string[];
  /** What has to be made yet. */
  todo: TimeSpan[];
  /**
   * The begin of a UTC day, in µs since 1970: bars before it stay as they are, as their trades are
   * gone or may go. Null: there are none such.
   */
  keptFrom: number | null;
}

export interface NotedSeries {
  ticker: string;
  epoch: string;
  /** Labels of the series that its rules give it. */
  labels: readonly string[];
}

/** It tells what the bars have; else all of them are to be made anew, from `keptFrom` on. */
export function isKnownNote(
  note: TickerNote | null,
  { ticker, epoch, labels }: NotedSeries,
): note is TickerNote {
  if (note === null || note.ticker !== ticker || note.epoch !== epoch) return false;
  return labels.every((label) => note.intervals.includes(label));
}

export function noteText({ ticker, step, epoch, to, intervals, todo, keptFrom }: TickerNote): string {
  const spans = todo.map(({ from, until }) => [from, until]);
  return JSON.stringify({ ticker, step, epoch, to, intervals, todo: spans, keptFrom });
}

/**
 * @param ticker whose note it is; that of an older server doesn't name it.
 * @returns null where it can't be read; then bars are looked at for what has no trades any more.
 */
export function readNote(text: string | null, ticker: string): TickerNote | null {
  try {
    const note: unknown = JSON.parse(text ?? "null");
    if (!isObject(note) || !Array.isArray(note.intervals) || !Array.isArray(note.todo)) return null;
    const { ticker: of = ticker, step, epoch, to, keptFrom = null } = note;
    if (!isWhole(step) || typeof epoch !== "string" || !isWhole(to) || typeof of !== "string") return null;
    if (keptFrom !== null && !isWhole(keptFrom)) return null;
    const spans = note.todo.map((span) => {
      const [from, until] = span as [number | null, number | null];
      // JSON has no infinite numbers.
      return { from: from ?? Number.NEGATIVE_INFINITY, until: until ?? Number.POSITIVE_INFINITY };
    });
    const todo = spansFrom(keptFrom, spans);
    return { ticker: of, step, epoch, to, intervals: note.intervals.map(String), todo, keptFrom };
  } catch {
    return null;
  }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
