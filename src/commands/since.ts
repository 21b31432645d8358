/** The start of updates: `since` of get_updates and of /ws. */
import { parseBound, TimestampError } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import type { Since } from "../storage/update-contract.ts";
import { show } from "./params.ts";

const DIGITS = /^\d+$/;

/**
 * Numbers, also as text, are positions, even if they look like a date. Other texts are times.
 * @throws RequestError 400
 */
export function readSince(value: unknown, name = "since"): Since {
  if (typeof value === "string" && Number.isNaN(Number(value))) return { timeMs: readMoment(value, name) };
  const position = typeof value === "string" && DIGITS.test(value) ? Number(value) : value;
  if (typeof position === "number" && Number.isSafeInteger(position) && position >= 0) return { position };
  throw badRequest(
    `${name}: got ${show(value)}, expected a position, a whole number from 0 to 2^53 - 1, or a time as text`,
  );
}

function readMoment(text: string, name: string): number {
  try {
    const stamp = parseBound(text, "start", "instant");
    if (stamp !== null) return Date.parse(`${stamp.replace(" ", "T").slice(0, 23)}Z`);
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error;
  }
  throw badRequest(`${name}: got ${show(text)}, expected a position or a time`);
}
