/**
 * Where the next page of an answer begins. A client hands it back as it came: it holds the key of
 * the last row, and a print of the question, as it means nothing to another one.
 */
import { badRequest } from "../protocol/errors.ts";
import type { RowKey } from "../storage/model/columns.ts";

const VERSION = 1;
/** A ticker and a part have up to 1,024 and 256 characters. */
const LENGTH_MAX = 8_192;
const EXPECTED = "the next_page_token of an answer to the same question, as it came";

/** @param question all that was asked, but for the page. */
export function pageToken(question: string, { ticker, part, stamp, seq }: RowKey): string {
  const content = JSON.stringify([VERSION, printOf(question), ticker, part, stamp, seq]);
  return Buffer.from(`${printOf(content)}${content}`).toString("base64url");
}

/** @throws RequestError 400 */
export function readPageToken(question: string, token: string): RowKey {
  const wrong = (why: string) =>
    badRequest(`page_token: got ${JSON.stringify(token.slice(0, 100))}, ${why}; expected ${EXPECTED}`);
  if (token.length > LENGTH_MAX) throw wrong("which is too long");
  const text = Buffer.from(token, "base64url").toString();
  const content = text.slice(PRINT_LENGTH);
  if (printOf(content) !== text.slice(0, PRINT_LENGTH)) throw wrong("which isn't whole");
  const [version, print, ticker, part, stamp, seq] = JSON.parse(content);
  if (version !== VERSION) throw wrong("which is of another version of the server");
  if (print !== printOf(question)) throw wrong("which is of another question");
  return { ticker, part, stamp, seq };
}

const PRINT_LENGTH = 11;

/** 64 bits: against mistakes, not against attacks, as a token gives no rights. */
function printOf(text: string): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(Bun.hash(text) as bigint);
  return bytes.toString("base64url");
}
