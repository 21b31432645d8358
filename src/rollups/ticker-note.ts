/**
 * How far the roll-ups of a ticker are, as the database keeps it. Every write of a roll-up changes
 * it, and is refused where it isn't as it was read: so of two that write at once, one is undone.
 */
import { isObject } from "../protocol/json.ts";
import type { TimeSpan } from "./spans.ts";

const PREFIX = "rollup/";
/** No name of a note of a ticker comes after it. */
export const TICKER_NOTES = { from: PREFIX, to: `${PREFIX}${String.fromCodePoint(0x10ffff)}` };

export interface TickerNote {
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
}

export function noteName(ticker: string): string {
  return PREFIX + ticker;
}

export function tickerOfNote(name: string): string {
  return name.slice(PREFIX.length);
}

export function noteText({ step, epoch, to, intervals, todo }: TickerNote): string {
  return JSON.stringify({ step, epoch, to, intervals, todo: todo.map(({ from, until }) => [from, until]) });
}

/** @returns null where it can't be read; all is made anew then. */
export function readNote(text: string | null): TickerNote | null {
  try {
    const note: unknown = JSON.parse(text ?? "null");
    if (!isObject(note) || !Array.isArray(note.intervals) || !Array.isArray(note.todo)) return null;
    const { step, epoch, to } = note;
    if (!Number.isSafeInteger(step) || typeof epoch !== "string" || !Number.isSafeInteger(to)) return null;
    const todo = note.todo.map((span) => {
      const [from, until] = span as [number | null, number | null];
      // JSON has no infinite numbers.
      return { from: from ?? Number.NEGATIVE_INFINITY, until: until ?? Number.POSITIVE_INFINITY };
    });
    return { step: step as number, epoch, to: to as number, intervals: note.intervals.map(String), todo };
  } catch {
    return null;
  }
}
