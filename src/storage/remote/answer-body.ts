/** Reads bodies of the upstream's answers, within a bound. */
import { isObject, type JsonRecord } from "../../protocol/json.ts";
import { shownBeginning, WrongAnswerError } from "./wrong-answer.ts";

/**
 * Limit for answers that are parsed: 10,000 tickers of the longest names, or four million
 * positions.
 */
export const PARSED_BYTES_MAX = 128 * 1024 * 1024;
/** Limit for answers to saves and /health, and for errors. */
export const SHORT_BYTES_MAX = 1024 * 1024;
/** A body that says that it is no larger is read in one go. */
const WHOLE_BYTES_MAX = 1024 * 1024;

export type BodyReader = ReadableStreamDefaultReader<Uint8Array>;

/** @property rest null if `head` is the whole body. */
export interface BodyPart {
  head: Buffer;
  rest: BodyReader | null;
}

/** Reads at least so many bytes, or all. @throws Error the connection was lost. */
export async function readBeginning(response: Response, bytes: number): Promise<BodyPart> {
  if (response.body === null) return { head: Buffer.alloc(0), rest: null };
  const { headers } = response;
  const length = headers.has("content-encoding") ? null : headers.get("content-length");
  if (length !== null && Number(length) <= WHOLE_BYTES_MAX)
    return { head: Buffer.from(await response.arrayBuffer()), rest: null };
  return readOn({ head: Buffer.alloc(0), rest: response.body.getReader() as BodyReader }, bytes);
}

async function readOn({ head, rest }: BodyPart, bytes: number): Promise<BodyPart> {
  const pieces: Uint8Array[] = [head];
  let size = head.length;
  while (rest !== null && size < bytes) {
    const { value, done } = await rest.read();
    if (done) return { head: Buffer.concat(pieces), rest: null };
    pieces.push(value);
    size += value.length;
  }
  return { head: Buffer.concat(pieces), rest };
}

/** @throws WrongAnswerError it is larger. The remainder isn't read. */
export async function readAll(part: BodyPart, bytesMax: number): Promise<Buffer> {
  const { head, rest } = await readOn(part, bytesMax + 1);
  if (rest === null) return head;
  await rest.cancel();
  throw new WrongAnswerError(`it has more than ${bytesMax} bytes; ${shownBeginning(head)}`);
}

/** @throws WrongAnswerError it is no JSON object, or too large. */
export async function readJsonObject(
  response: Response,
  bytesMax: number,
  parse: (text: string) => unknown = JSON.parse,
): Promise<JsonRecord> {
  const text = (await readAll(await readBeginning(response, 0), bytesMax)).toString();
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
