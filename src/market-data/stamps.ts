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
    if (error instanceof RangeError) throw badRequest(`start: ${error.message}, expected bounds within them`);
    throw error;
  }
}
