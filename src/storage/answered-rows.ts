/** Parses the rows of an answer as its pieces come: a large one is never held as a whole. */
import { parseAllIntegers } from "../protocol/exact-integers.ts";
import type { JsonRecord } from "../protocol/json.ts";
import type { JsonRows } from "./contract.ts";

/**
 * The beginning of a row after the end of another; older servers write the space. A text can't
 * hold this: quotes within it are escaped, and no letter follows the quote that ends it.
 */
export const NEXT_ROW = /^, ?\{"\w/;
export const NEXT_ROW_LENGTH = ', {"a'.length;
const END = "]}";
/** An integer that a double may not hold. A false alarm in a text only costs time. */
const LONG_INTEGER = /\d{16}/;

/** The answer is incomplete. */
export class BrokenAnswerError extends Error {
  override name = "BrokenAnswerError";
}

/**
 * Yields a batch of rows for each piece. Integers that a double can't hold are bigints. Leaving the
 * loop early closes the answer.
 *
 * @throws BrokenAnswerError the answer ended in the middle.
 */
export async function* answeredRows(answer: JsonRows): AsyncGenerator<JsonRecord[]> {
  if (answer.empty) return;
  const decoder = new TextDecoder();
  let rest = "";
  let isBegun = false;
  for await (const piece of "text" in answer ? [answer.text] : answer.chunks) {
    rest += typeof piece === "string" ? piece : decoder.decode(piece, { stream: true });
    if (!isBegun) {
      const begin = rest.indexOf("[");
      if (begin < 0) continue;
      isBegun = true;
      rest = rest.slice(begin + 1);
    }
    const end = lastEndOfRow(rest);
    if (end === 0) continue;
    yield parseRows(rest.slice(0, end));
    rest = rest.slice(end + 1);
  }
  rest += decoder.decode();
  if (!rest.endsWith(END)) throw new BrokenAnswerError("the answer broke off");
  yield parseRows(rest.slice(0, -END.length));
}

/** @returns 0 if the text holds no row that another one follows. */
function lastEndOfRow(text: string): number {
  let at = text.lastIndexOf("},");
  while (at > 0 && !NEXT_ROW.test(text.slice(at + 1, at + 1 + NEXT_ROW_LENGTH)))
    at = text.lastIndexOf("},", at - 1);
  return Math.max(0, at + 1);
}

export function parseRows(rows: string): JsonRecord[] {
  const text = `[${rows}]`;
  return (LONG_INTEGER.test(text) ? parseAllIntegers(text) : JSON.parse(text)) as JsonRecord[];
}
