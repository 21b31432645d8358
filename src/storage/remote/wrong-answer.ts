/** Detects answers with status 200 that another program sent, a proxy made, or that are cut off. */

const SHOWN_CHARACTERS = 80;
const SHOWN_BYTES = 4 * SHOWN_CHARACTERS;
const JSON_TYPE = /^application\/json\s*(?:;|$)/i;

export class WrongAnswerError extends Error {
  override name = "WrongAnswerError";
}

/** @throws WrongAnswerError */
export function requireJson(response: Response): void {
  const type = response.headers.get("content-type");
  if (type === null) throw new WrongAnswerError("it has no Content-Type, expected application/json");
  if (!JSON_TYPE.test(type)) {
    throw new WrongAnswerError(
      `its Content-Type is ${type.slice(0, SHOWN_CHARACTERS)}, expected application/json`,
    );
  }
}

/** How it begins, in one line. */
export function shownBeginning(answer: string | Uint8Array): string {
  const text = typeof answer === "string" ? answer : Buffer.from(answer.subarray(0, SHOWN_BYTES)).toString();
  const line = text
    .slice(0, SHOWN_CHARACTERS)
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim();
  return line === "" ? "it is empty" : `it begins with ${line}`;
}
