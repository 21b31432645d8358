/** One reading statement of the server's own, its rows parsed. */
import { RequestError } from "../protocol/errors.ts";
import type { WorkerStorage } from "./worker-storage.ts";

/** @throws RequestError as WorkerStorage.executeSql; 504 after the time. */
export async function queryRows(
  storage: WorkerStorage,
  sql: string,
  timeoutMs: number,
): Promise<Record<string, unknown>[]> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const answer = await storage.executeSql({
      sql,
      params: [],
      queryType: "select",
      allowWrite: false,
      signal,
    });
    return (await new Response(answer.body as ReadableStream).json()) as Record<string, unknown>[];
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new RequestError(504, `stats: not answered within ${timeoutMs / 1000} s`, {
      hint: "give a larger timeout",
    });
  }
}
