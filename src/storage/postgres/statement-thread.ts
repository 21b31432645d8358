/**
 * Entry of the thread that reads users' statements. A large one takes a tenth of a second, too long
 * for the worker's event loop.
 */
import { RequestError } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { isParserLoaded, loadParser } from "./sql-parser.ts";
import { readStatement, type Statement } from "./user-sql-statement.ts";

declare const self: Worker;

export interface StatementQuestion {
  sql: string;
  /** The number of parameters sent. */
  given: number;
  /** The schema of the server's tables. */
  schema: string;
}

export type StatementReply = (
  | { statement: Statement }
  | { refusal: { message: string; details: string | undefined } }
  | { bug: string }
) & {
  /** The thread has lost its parser, and must be replaced. */
  isWorn: boolean;
};

self.onmessage = async ({ data }: MessageEvent<StatementQuestion>) => {
  if (!isParserLoaded()) await loadParser();
  const reply: StatementReply = { ...read(data), isWorn: !isParserLoaded() };
  self.postMessage(reply);
};

function read({ sql, given, schema }: StatementQuestion) {
  try {
    return { statement: readStatement(sql, given, schema) };
  } catch (error) {
    if (!(error instanceof RequestError)) return { bug: messageOf(error) };
    return { refusal: { message: error.message, details: error.details } };
  }
}
