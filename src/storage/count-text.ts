/** Counts as text. */
import type { Count } from "./contract.ts";

/** Gives all digits of a count, also beyond a double's whole numbers. */
export function countText(count: Count | null): string | null {
  if (count === null || typeof count === "string") return count;
  return Number.isSafeInteger(count) || !Number.isInteger(count) ? String(count) : String(BigInt(count));
}

/** One text for equal counts: 1.5 may also be written 1.50. */
export function comparableCount(digits: string | null): string | null {
  return digits?.includes(".") ? String(Number(digits)) : digits;
}
