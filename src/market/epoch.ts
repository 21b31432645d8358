/** Numbers as stamps. Their magnitude gives the unit, unambiguously for times since 1973. */
import { type Moment, momentOfDate } from "./moment.ts";

const SECONDS_MIN = 1e8;
const MILLIS_MIN = 1e11;
const MICROS_MIN = 1e14;
const NANOS_MIN = 1e17;
/** Unix nanoseconds in 64 bits end in 2262. */
const NANOS_END = 2 ** 63;

const COMPACT_DATE_MIN = 19000101;
const COMPACT_DATE_MAX = 21001231;

/** Today's nanoseconds as doubles are 256 apart: a whole microsecond may be off by half of that. */
const DOUBLE_NANOS_ERROR = 128n;

/**
 * Reads Unix seconds or milliseconds (with fraction), microseconds, nanoseconds, or a date like
 * 20240102. Cuts off what is finer than microseconds.
 * @returns null when the magnitude fits none of them.
 */
export function momentOfNumber(value: number): Moment | null {
  const size = Math.abs(value);
  if (size < SECONDS_MIN) return momentOfCompactDate(value);
  const whole = Math.floor(value);
  // Few decimal fractions are exact doubles. Rounding gives the intended microsecond; cutting,
  // often the one before.
  if (size < MILLIS_MIN) return momentOfEpoch(whole, Math.round((value - whole) * 1e6));
  if (size < MICROS_MIN) {
    const millis = remainder(whole, 1e3);
    return momentOfEpoch((whole - millis) / 1e3, millis * 1e3 + Math.round((value - whole) * 1e3));
  }
  if (size < NANOS_MIN) return momentOfMicros(whole);
  if (size >= NANOS_END) return null;
  const nanos = BigInt(value);
  const nearest = floorDivide(nanos + 500n, 1000n);
  const distance = nearest * 1000n - nanos;
  if (distance <= DOUBLE_NANOS_ERROR && distance >= -DOUBLE_NANOS_ERROR)
    return momentOfMicros(Number(nearest));
  return momentOfMicros(Number(floorDivide(nanos, 1000n)));
}

/** As `momentOfNumber`, for integers beyond the doubles: nanoseconds keep every digit. */
export function momentOfInteger(value: bigint): Moment | null {
  const size = value < 0n ? -value : value;
  if (size < BigInt(NANOS_MIN)) return momentOfNumber(Number(value));
  if (size >= BigInt(NANOS_END)) return null;
  return momentOfMicros(Number(floorDivide(value, 1000n)));
}

function momentOfCompactDate(value: number): Moment | null {
  if (!Number.isInteger(value) || value < COMPACT_DATE_MIN || value > COMPACT_DATE_MAX) return null;
  return momentOfDate(Math.floor(value / 10_000), Math.floor(value / 100) % 100, value % 100, "day");
}

function momentOfMicros(value: number): Moment {
  const micros = remainder(value, 1e6);
  return momentOfEpoch((value - micros) / 1e6, micros);
}

function momentOfEpoch(seconds: number, micros: number): Moment {
  const carry = micros === 1e6;
  return {
    wallMs: (carry ? seconds + 1 : seconds) * 1000,
    micros: carry ? 0 : micros,
    offsetMinutes: 0,
    precision: "time",
  };
}

/** @returns 0 to `divisor`, also before 1970. */
function remainder(value: number, divisor: number): number {
  const rest = value % divisor;
  return rest < 0 ? rest + divisor : rest;
}

function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value < 0n && quotient * divisor !== value ? quotient - 1n : quotient;
}
