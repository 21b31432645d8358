/** Values of an Arrow column one by one, in forms that lose nothing. */
import type { Vector } from "apache-arrow";
import { stampOfMicros } from "../market/stamp-micros.ts";
import { stringifyExact } from "../protocol/json.ts";

/** A number, or the text of what a number doesn't hold: a stamp, a long integer, a nested value. */
export type ArrowCell = string | number | null;

/** Stamps become text with all of their digits: the library's own values are rounded. */
export function arrowCells(
  vector: Vector,
  { isTimestamp, isDate, isDecimal }: typeof import("apache-arrow").DataType,
): (index: number) => ArrowCell {
  const { type } = vector;
  if (isTimestamp(type)) {
    const { unit, timezone } = type as unknown as { unit: number; timezone: string | null };
    // A zone says how the instant is shown; without one it is a wall clock.
    const suffix = timezone === null || timezone === undefined || timezone === "" ? "" : "Z";
    return (index) => {
      const value = integerAt(vector, index);
      return value === null ? null : stampOfMicros(microsOf(value, unit)) + nanosOf(value, unit) + suffix;
    };
  }
  if (isDate(type)) {
    return (index) => {
      const value: unknown = vector.get(index);
      return value === null ? null : new Date(Number(value)).toISOString().slice(0, 10);
    };
  }
  if (isDecimal(type)) {
    const { scale } = type as unknown as { scale: number };
    return (index) => (vector.isValid(index) ? `${vector.get(index)}e-${scale}` : null);
  }
  return (index) => fieldOf(vector.get(index));
}

function integerAt(vector: Vector, index: number): bigint | null {
  if (!vector.isValid(index)) return null;
  const [data] = vector.data;
  return BigInt.asIntN(64, (data!.values as BigInt64Array)[index]!);
}

/** @param unit 0 seconds, 1 milliseconds, 2 microseconds, 3 nanoseconds. */
function microsOf(value: bigint, unit: number): number {
  if (unit === 3) return Number(value / 1000n - (value < 0n && value % 1000n !== 0n ? 1n : 0n));
  return Number(value * 10n ** BigInt(6 - unit * 3));
}

/** Digits after the microsecond: they can't be stored, and the plan of an import says so. */
function nanosOf(value: bigint, unit: number): string {
  return unit === 3 ? String(((value % 1000n) + 1000n) % 1000n).padStart(3, "0") : "";
}

function fieldOf(value: unknown): ArrowCell {
  if (value === null || value === undefined) return null;
  if (typeof value === "number" || typeof value === "string") return value;
  return typeof value === "object" ? stringifyExact(value) : String(value);
}
