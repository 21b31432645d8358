/** Which stamps an update may have changed something at. */

import { USUAL_STAMP } from "../commands/tick-reader.ts";
import { microsOfStamp } from "../market/stamp-micros.ts";
import { parseTimestamp } from "../market/timestamp.ts";
import { TICK_DELETE } from "../protocol/frames.ts";
import { foldNames, isObject, type JsonRecord } from "../protocol/json.ts";

/** In µs since 1970: single ones, or all within bounds, inclusive. */
export type Touched = { stamps: number[] } | { from: number; to: number };

/** Every stamp that there may be. */
export const EVERYTHING: Touched = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };

/** @param frame of an update of ticks. What can't be understood may concern every stamp. */
export function touchedStamps(frame: string): Touched {
  try {
    const read = JSON.parse(frame) as JsonRecord;
    const { data } = read;
    if (!isObject(data)) return EVERYTHING;
    if (data.type === TICK_DELETE) return removedRange(data);
    if (!Array.isArray(data.payload)) return EVERYTHING;
    const index = typeof read.index_col === "string" ? read.index_col : USUAL_STAMP;
    const stamps = (data.payload as JsonRecord[]).map((record) =>
      microsOf(record[index] ?? foldNames(record)[index]),
    );
    return stamps.includes(Number.NaN) ? EVERYTHING : { stamps };
  } catch {
    return EVERYTHING;
  }
}

/** Of ticks with some ids, only bounds tell where they were. */
function removedRange({ start, end }: JsonRecord): Touched {
  const from = start === null ? Number.NEGATIVE_INFINITY : microsOf(start);
  const to = end === null ? Number.POSITIVE_INFINITY : microsOf(end);
  return Number.isNaN(from) || Number.isNaN(to) ? EVERYTHING : { from, to };
}

function microsOf(value: unknown): number {
  const stamp = parseTimestamp(value);
  return stamp === null ? Number.NaN : microsOfStamp(stamp);
}
