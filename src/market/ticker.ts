/** Characters of the longest ticker: bounds keys, topics and log lines. Option symbols have 21. */
export const TICKER_LENGTH_MAX = 1_024;

/** A client sent something that can't be a ticker. The client gets the message as it is. */
export class TickerError extends Error {
  override readonly name = "TickerError";
}

/**
 * Reads a ticker: any text, with its case and blanks. Numbers and true, which old clients send,
 * become text as in Python: `5`, `1.5`, `True`.
 * @returns null for what the wire calls missing: absent, null, "", 0, false, an empty list or
 *   object.
 * @throws TickerError A list, an object, or more than 1,024 characters.
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
