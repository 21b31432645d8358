/**
 * Characters of the longest ticker; option symbols have 21. It bounds keys, topics and log lines.
 */
export const TICKER_LENGTH_MAX = 1_024;

/** What a client sent can't be a ticker. The client's fault, told as it is. */
export class TickerError extends Error {
  override readonly name = "TickerError";
}

/**
 * A ticker as it is stored: any text, case and blanks kept. Old clients also send numbers and true,
 * which become text as Python writes them: `5`, `1.5`, `True`.
 *
 * @returns Null where the wire counts the ticker as missing: absent, null, "", 0, false, an empty
 *   list or object.
 * @throws TickerError A list, an object, or longer than 1,024 characters.
 */
export function readTicker(value: unknown): string | null {
  if (typeof value === "string") {
    if (value.length > TICKER_LENGTH_MAX) throw tooLong(value);
    return value === "" ? null : value;
  }
  if (value === null || value === undefined || value === false) return null;
  if (value === true) return "True";
  if (typeof value === "number") return value === 0 || !Number.isFinite(value) ? null : String(value);
  if (typeof value === "bigint") return readTicker(value === 0n ? null : String(value));
  if (typeof value === "object" && Object.keys(value).length === 0) return null;
  throw new TickerError(
    `cannot use ${Array.isArray(value) ? "a list" : "an object"} as a ticker: expected a text`,
  );
}

function tooLong(value: string): TickerError {
  const shown = JSON.stringify(`${value.slice(0, 40)}…`);
  return new TickerError(
    `cannot use ${shown} as a ticker: expected at most ${TICKER_LENGTH_MAX} characters, got ${value.length}`,
  );
}
