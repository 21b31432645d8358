/**
 * The unit of a column of epoch numbers. One number tells its unit only from 1973 on; a column
 * tells it by its largest number, and where all are small by the steps between them.
 */

export type EpochUnit = "s" | "ms" | "us" | "ns";
export const EPOCH_UNITS: readonly EpochUnit[] = ["s", "ms", "us", "ns"];
export const UNIT_WORDS: Record<EpochUnit, string> = {
  s: "seconds",
  ms: "milliseconds",
  us: "microseconds",
  ns: "nanoseconds",
};

/** Microseconds of a unit; nanoseconds are divided. */
const UNIT_MICROS: Record<EpochUnit, number> = { s: 1e6, ms: 1e3, us: 1, ns: 1e-3 };
/** The year 2100 in seconds. What is larger is of a finer unit. */
const SECONDS_END = 4_102_444_800;
/** From March 1973 on a number of seconds is larger than any number that isn't a time. */
const SECONDS_CERTAIN = 1e8;
/** Row numbers and the days that spreadsheets count are smaller. */
const SECONDS_POSSIBLE = 1e7;
/** Whole numbers that can only be of the unit, and what one of them is. */
export const EPOCH_RANGES: Record<EpochUnit, { from: number; to: number; micros: number }> = {
  s: { from: 0, to: SECONDS_END, micros: 1e6 },
  ms: { from: SECONDS_END, to: SECONDS_END * 1e3, micros: 1e3 },
  us: { from: SECONDS_END * 1e3, to: SECONDS_END * 1e6, micros: 1 },
  ns: { from: SECONDS_END * 1e6, to: SECONDS_END * 1e9, micros: 1e-3 },
};
const NUMBER = /^[+-]?\d+(?:\.\d*)?$/;

export function isEpochText(text: string): boolean {
  return NUMBER.test(text);
}

/** The unit that makes a number a time before 2100. */
function unitOfSize(size: number): EpochUnit {
  if (size < SECONDS_END) return "s";
  if (size < SECONDS_END * 1e3) return "ms";
  return size < SECONDS_END * 1e6 ? "us" : "ns";
}

/** @returns null when the numbers don't tell. */
export function unitOfColumn(texts: readonly string[]): EpochUnit | null {
  const values = texts.map(Number).filter(Number.isFinite);
  const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  if (largest >= SECONDS_CERTAIN) return unitOfSize(largest);
  if (largest < SECONDS_POSSIBLE) return null;
  // Seconds before 1973, or milliseconds of the first two days of 1970: seconds come in whole
  // minutes.
  const isWhole = values.every((value) => value % 60 === 0);
  return isWhole && new Set(values).size > 1 ? "s" : null;
}

/**
 * A number that would be a time after 1973 in another unit than that of its column.
 * @returns that unit; null when there is no contradiction.
 */
export function otherUnit(value: number, unit: EpochUnit): EpochUnit | null {
  const size = Math.abs(value);
  const own = unitOfSize(size);
  if (own === unit) return null;
  const inOwn = (size * UNIT_MICROS[own]) / 1e6;
  return inOwn >= SECONDS_CERTAIN ? own : null;
}

/**
 * @returns microseconds since 1970, what is finer is cut off; null for text that is no number.
 */
export function microsOfEpoch(text: string, unit: EpochUnit): number | null {
  if (!NUMBER.test(text)) return null;
  if (unit === "ns") {
    const dot = text.indexOf(".");
    return floorThousandth(BigInt(dot < 0 ? text : text.slice(0, dot)));
  }
  const value = Number(text);
  const whole = Math.floor(value);
  // Few decimal fractions are exact doubles: rounding gives the microsecond that was meant.
  return whole * UNIT_MICROS[unit] + Math.round((value - whole) * UNIT_MICROS[unit]);
}

function floorThousandth(nanos: bigint): number {
  const micros = nanos / 1000n;
  return Number(nanos < 0n && micros * 1000n !== nanos ? micros - 1n : micros);
}
