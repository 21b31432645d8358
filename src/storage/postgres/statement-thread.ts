/**
 * Entry of the thread that reads users' statements: a large one takes a tenth of a second, in which
 * a worker has others to answer.
 */
import { RequestError } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { isParserLoaded, loadParser } from "./sql-parser.ts";
import { readStatement, type Statement } from "./user-sql-statement.ts";

declare const self: Worker;

export interface StatementQuestion {
  sql: string;
  /** Number of the parameters sent. */
  given: number;
  /** Of the server's own tables. */
  schema: string;
}

export type StatementReply = (
  | { statement: Statement }
  /** 400 for the client. */
  | { refusal: { message: string; details: string | undefined } }
  /** Our own bug. */
  | { bug: string }
) & {
  /** The thread has no parser any more, or much memory: it is to be replaced. */
  isWorn: boolean;
};

/** One comes when the one before is answered. */
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
