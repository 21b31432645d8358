/** One reading statement of the server's own in a SQL runner, its rows parsed. */
import { RequestError } from "../protocol/errors.ts";
import type { RunnerPool } from "../sql/runner-pool.ts";

/** @throws RequestError as RunnerPool.run; 504 after the time. */
export async function queryRows(
  pool: RunnerPool,
  sql: string,
  timeoutMs: number,
): Promise<Record<string, unknown>[]> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const reply = await pool.run({ sql, params: [], mode: "read", signal });
    if (reply === "needs-write") throw new Error(`a reading statement wants to write: ${sql}`);
    return (await new Response(reply.body as ReadableStream).json()) as Record<string, unknown>[];
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new RequestError(504, `stats: not answered within ${timeoutMs / 1000} s`, {
      hint: "give a larger timeout",
    });
  }
}
