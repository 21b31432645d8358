/** Cells as JSON, for the formats that are JSON. */
import type { TextForm } from "./text-cells.ts";

/** Digits of integers that every double holds. */
const DIGITS_MAX = 15;
const ZERO = 48;
const NINE = 57;

/** Integers of 64 bits have all their digits. */
export const JSON_FORM: TextForm = {
  null: "null",
  text: JSON.stringify,
  json: jsonOnOneLine,
  stampQuote: '"',
};

/** The same, but a text of up to 15 digits becomes the number that it is. */
export const JSON_NUMBER_FORM: TextForm = {
  ...JSON_FORM,
  text: (text) => (isPlainInteger(text) ? text : JSON.stringify(text)),
};

/** Whether it is a number whose text is the same again. */
function isPlainInteger(text: string): boolean {
  const { length } = text;
  if (length === 0 || length > DIGITS_MAX) return false;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code < ZERO || code > NINE) return false;
  }
  return length === 1 || text.charCodeAt(0) !== ZERO;
}

/** The value as it was saved. What another program has stored and isn't JSON is a text. */
function jsonOnOneLine(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return JSON.stringify(text);
  }
  // In JSON, a line can only end between values.
  return text.isWellFormed() ? text.replaceAll(/[\r\n]/g, " ") : JSON.stringify(JSON.parse(text));
}
