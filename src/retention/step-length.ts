/** How much of a series one transaction removes: as long as it takes some thousand rows. */
import { DAY_MICROS } from "../rollups/spans.ts";

/** A step is made longer or shorter until it removes about so many rows. */
const STEP_ROWS_MIN = 2_000;
export const STEP_ROWS_MAX = 20_000;
const STEP_FACTOR = 4;
export const STEP_MICROS_MIN = 1_000_000;
/** An hour of a ticker may be a million ticks. */
export const STEP_MICROS_FIRST = 60_000_000;
/** Between two steps, and at least as long as the step has taken. */
export const PAUSE_MS = 5;

/** @param rows of the step before. */
export function nextStep(micros: number, rows: number): number {
  if (rows > STEP_ROWS_MAX) return Math.max(STEP_MICROS_MIN, micros / STEP_FACTOR);
  return rows < STEP_ROWS_MIN ? Math.min(DAY_MICROS, micros * STEP_FACTOR) : micros;
}
