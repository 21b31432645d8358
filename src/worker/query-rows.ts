/** Runs one of the server's own reading statements and parses its rows. */
import { STATUS } from "../protocol/codes.ts";
import { hasStatus, timeIsUp } from "../protocol/errors.ts";
import type { SqlRequest } from "../sql/execute.ts";

interface Answer {
  body: Uint8Array | ReadableStream<Uint8Array>;
}

/** @throws RequestError like execute_sql; 504 after the time. */
export async function queryRows(
  executeSql: (request: SqlRequest) => Promise<Answer>,
  sql: string,
  timeoutMs: number,
): Promise<Record<string, unknown>[]> {
  try {
    const { body } = await executeSql({ sql, params: [], queryType: "select", allowWrite: false, timeoutMs });
    return (await new Response(body as ReadableStream).json()) as Record<string, unknown>[];
  } catch (error) {
    if (!hasStatus(error, STATUS.timeIsUp)) throw error;
    throw timeIsUp(`stats: not answered within ${timeoutMs / 1000} s`, {
      hint: "give a larger ?timeout=",
      cause: error,
    });
  }
}
