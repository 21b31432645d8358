/** Decimals of what is computed from prices. */
import { round4 } from "./round4.ts";

/** Enough for a price of 0.00001 as for one of 0.9. */
const DIGITS = 8;
/** Below it, 6 decimals would leave less than 5 digits. */
const SMALL = 0.01;
const DECIMALS = 6;

/** 4 decimals of values of 1 and more, 8 significant digits below. */
export function roundAverage(value: number): number {
  return Math.abs(value) < 1 ? significant(value) : round4(value);
}

/** 6 decimals, 8 significant digits below 0.01. */
export function roundAdjusted(value: number): number {
  return Math.abs(value) < SMALL ? significant(value) : decimal(value);
}

/** Of a volume: whole ones stay, others get 6 decimals. */
export function roundVolume(value: number): number {
  return Number.isInteger(value) ? value : decimal(value);
}

function significant(value: number): number {
  // Adding 0 turns -0 into 0.
  return Number(value.toPrecision(DIGITS)) + 0;
}

function decimal(value: number): number {
  return Number(value.toFixed(DECIMALS)) + 0;
}
