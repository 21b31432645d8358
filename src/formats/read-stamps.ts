/** Stamps of formats that have types for them, in microseconds since 1970. */

/** Of Arrow, by its number of the unit. */
export const STAMP_UNITS = ["s", "ms", "us", "ns"] as const;
type StampUnit = (typeof STAMP_UNITS)[number];

const MICROS = { s: 1_000_000n, ms: 1_000n } as const;
/** Beyond them no stamp can be stored, and what is multiplied might not fit. */
const SECONDS_MAX = 100_000_000_000n;

/** What is finer than a microsecond is cut off, as it is of text. */
export function microsOfStamps(values: BigInt64Array, unit: StampUnit): BigInt64Array {
  switch (unit) {
    case "us":
      return values;
    case "ns":
      return values.map((value) => value / 1_000n - (value < 0n && value % 1_000n !== 0n ? 1n : 0n));
    default: {
      const factor = MICROS[unit];
      const max = (SECONDS_MAX * 1_000_000n) / factor;
      return values.map((value) => (value > max ? max : value < -max ? -max : value) * factor);
    }
  }
}
