import type { Count } from "../contract.ts";

/** Gives all digits of a count, also beyond a double's whole numbers. */
export function countText(count: Count | null): string | null {
  if (count === null || typeof count === "string") return count;
  return Number.isSafeInteger(count) || !Number.isInteger(count) ? String(count) : String(BigInt(count));
}

/** Compares whole numbers by their digits; 1.5 may also be written 1.50. */
export function isSameCount(a: string | null, b: string | null): boolean {
  if (a === b) return true;
  if (a === null || b === null || !(a.includes(".") || b.includes("."))) return false;
  return Number(a) === Number(b);
}
