/** Answers of the upstream that are held as a whole, within a bound. */
import { isObject, type JsonRecord } from "../../protocol/json.ts";
import { shownBeginning, WrongAnswerError } from "./wrong-answer.ts";

/**
 * Of answers that are parsed: 10,000 tickers of the longest names, or the positions of four
 * million.
 */
export const PARSED_BYTES_MAX = 128 * 1024 * 1024;
/** Of answers to saves, of /health, and of errors. */
export const SHORT_BYTES_MAX = 1024 * 1024;

/**
 * @throws WrongAnswerError it is larger; the rest isn't read.
 * @throws what reading throws when the connection is lost.
 */
export async function readWhole(response: Response, bytesMax: number): Promise<Buffer> {
  if (response.body === null) return Buffer.alloc(0);
  if (isWithin(response, bytesMax)) return Buffer.from((await response.arrayBuffer()) as ArrayBuffer);
  return readRest(response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>, bytesMax);
}

/** It says how large it is, and is not packed. */
export function isWithin({ headers }: Response, bytesMax: number): boolean {
  const length = headers.get("content-length");
  return length !== null && !headers.has("content-encoding") && Number(length) <= bytesMax;
}

/** As readWhole. @param head what has been read already. */
export async function readRest(
  source: ReadableStreamDefaultReader<Uint8Array>,
  bytesMax: number,
  head: Uint8Array[] = [],
): Promise<Buffer> {
  const pieces = [...head];
  let size = pieces.reduce((sum, { length }) => sum + length, 0);
  for (;;) {
    const { value, done } = await source.read();
    if (done) return Buffer.concat(pieces);
    pieces.push(value);
    size += value.length;
    if (size <= bytesMax) continue;
    await source.cancel();
    throw new WrongAnswerError(`it has more than ${bytesMax} bytes; ${shownBeginning(pieces[0]!)}`);
  }
}

/** @throws WrongAnswerError it is no JSON object, or too large. */
export async function readJsonObject(
  response: Response,
  bytesMax: number,
  parse: (text: string) => unknown = JSON.parse,
): Promise<JsonRecord> {
  const text = (await readWhole(response, bytesMax)).toString();
  let body: unknown;
  try {
    body = parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new WrongAnswerError(`it is not whole JSON; ${shownBeginning(text)}`);
  }
  if (isObject(body)) return body;
  throw new WrongAnswerError(`it is JSON that is no object; ${shownBeginning(text)}`);
}
