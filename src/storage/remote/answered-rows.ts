/**
 * Rows out of an answer of a command, a batch for each piece that comes, however large the answer
 * is.
 */
import { parseExactIntegers } from "../../protocol/exact-integers.ts";
import type { JsonRecord } from "../../protocol/json.ts";
import type { JsonRows } from "../contract.ts";

/**
 * Between two rows. Within a text every quote follows a backslash, so this is never part of one.
 */
export const ROW_BORDER = '},{"';
export const ROWS_BEGIN = '{"data":[';
export const ROWS_END = "]}";
/** A number that a double may not hold. In a text it does no harm. */
const LONG_INTEGER = /[:[]-?\d{16}/;

/** The answer ended before its end. */
export class BrokenAnswerError extends Error {
  override name = "BrokenAnswerError";
}

/**
 * With bigints where a double can't hold a number.
 *
 * @throws BrokenAnswerError the connection was lost in the middle.
 */
export async function* answeredRows(answer: JsonRows): AsyncGenerator<JsonRecord[]> {
  if (answer.empty) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of "text" in answer ? [answer.text] : unbroken(answer.chunks)) {
    const text = rest + (typeof piece === "string" ? piece : decoder.decode(piece, { stream: true }));
    const border = text.lastIndexOf(ROW_BORDER);
    if (border < 0) {
      rest = text;
      continue;
    }
    const begin = text.startsWith(ROWS_BEGIN) ? ROWS_BEGIN.length : 0;
    rest = text.slice(border + 2);
    yield parseRows(text.slice(begin, border + 1));
  }
  rest += decoder.decode();
  if (!rest.endsWith(ROWS_END)) throw new BrokenAnswerError("the answer broke off");
  yield parseRows(rest.slice(rest.startsWith(ROWS_BEGIN) ? ROWS_BEGIN.length : 0, -ROWS_END.length));
}

/** @throws BrokenAnswerError */
export async function* unbroken(
  chunks: AsyncIterable<string | Uint8Array>,
): AsyncGenerator<string | Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = await source.next().catch((error: unknown) => {
        ended = true;
        throw new BrokenAnswerError(`the answer broke off: ${String(error)}`, { cause: error });
      });
      if (next.done) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    if (!ended) await source.return?.();
  }
}

/** With bigints where a double can't hold a number. */
export function parseRows(rows: string): JsonRecord[] {
  const text = `[${rows}]`;
  return (LONG_INTEGER.test(text) ? parseExactIntegers(text) : JSON.parse(text)) as JsonRecord[];
}
