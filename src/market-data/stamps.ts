/** Stamps as numbers, for answers. */
import { microsOf } from "../analysis/numbers.ts";
import { badRequest } from "../protocol/errors.ts";
import type { ColumnBatch } from "../storage/model/columns.ts";

/**
 * Of the column `timestamp`, in µs.
 *
 * @throws RequestError 400 a stamp is so far from 1970 that no double holds its microseconds.
 */
export function stampsOf({ columns }: ColumnBatch): Float64Array {
  try {
    return microsOf(columns.get("timestamp")!);
  } catch (error) {
    if (error instanceof RangeError) throw beyondMicros(error.message);
    throw error;
  }
}

/** @throws RequestError 400 as `stampsOf` */
export function checkedMicros(micros: Float64Array): Float64Array {
  const far = micros.find((at) => !Number.isSafeInteger(at));
  if (far !== undefined) throw beyondMicros(`the stamp ${far} µs is not within the years 1684 to 2255`);
  return micros;
}

function beyondMicros(message: string): unknown {
  return badRequest(`start: ${message}, expected bounds within them`);
}
