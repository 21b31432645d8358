/** Runs one statement of a user, and decides whether and when it may write. */
import { atClientsPace } from "../protocol/clients-pace.ts";
import { badRequest, forbidden } from "../protocol/errors.ts";
import { stoppedAsClientLeft, stoppedAtLimit } from "../storage/stopped-sql.ts";
import type { SqlAnswer, SqlParam, SqlReply, UserSqlRequest } from "../storage/user-sql-contract.ts";
import type { RunnerPool } from "./runner-pool.ts";
import type { Limits } from "./runner-watch.ts";

/** The right to write to the database. The server's own writer waits while it is out. */
export interface WriteLease {
  /** Rejects when the signal aborts, and then holds nothing. */
  acquire(signal: AbortSignal): Promise<{
    /** Resolves when every later read sees what was written. It never rejects. */
    release(): Promise<void>;
  }>;
}

export type QueryType = "select" | "raw";

export interface SqlRequest {
  sql: string;
  params: SqlParam[];
  /** `select` never writes; `raw` may. */
  queryType: QueryType;
  /** False for GET requests: any web page can make a browser send those. */
  allowWrite: boolean;
  /** Aborts when the client is gone; the statement is stopped then. */
  signal?: AbortSignal | undefined;
  /** Key of the client, or its address without one; absent for the server's own statements. */
  client?: string;
  /** Instead of --sql-timeout, for the server's own statements. */
  timeoutMs?: number;
  /** By `performance.now()`: when the statement began to wait for its turn. */
  startedAt?: number;
}

/**
 * @throws RequestError as `RunnerPool.run`; 400 for a `select` that writes, 403 for a writing `raw`
 *   that may not. A statement that failed has changed nothing, unless the error says that its
 *   outcome is unknown.
 */
export async function executeSql(
  request: SqlRequest,
  { pool, lease }: { pool: RunnerPool; lease: WriteLease },
): Promise<SqlAnswer> {
  const { sql, params, signal, timeoutMs = pool.timeoutMs, startedAt } = request;
  const session = await pool.open(signal, timeoutMs, startedAt);
  try {
    const reply = await session.run({ sql, params, mode: "read" });
    if (reply !== "needs-write") return reply;
    refuseWrite(request);
    // The runner stays ours: nobody may hold the lease while waiting for a runner.
    const held = await acquire(lease, { deadlineAt: session.deadlineAt, timeoutMs, signal });
    try {
      const written = await session.run({ sql, params, mode: "write" });
      if (written === "needs-write") throw new Error("a runner in write mode asked for write mode");
      return written;
    } finally {
      await held.release();
    }
  } finally {
    session.close();
  }
}

/** The same for an engine that stops statements itself, and whose writer needs no lease. */
export async function executeSqlDirectly(
  { sql, params, queryType, allowWrite, signal, ...rest }: SqlRequest,
  run: (
    request: UserSqlRequest,
    limits: { timeoutMs: number; signal?: AbortSignal | undefined },
  ) => Promise<SqlReply>,
  defaults: { timeoutMs: number; maxRows: number },
): Promise<SqlAnswer> {
  const { timeoutMs = defaults.timeoutMs, startedAt = performance.now() } = rest;
  const { maxRows } = defaults;
  const deadlineAt = startedAt + timeoutMs;
  const leftMs = (): number => Math.max(1, Math.ceil(deadlineAt - performance.now()));
  const query = { sql, params, maxRows };
  const reply = await run({ ...query, mode: "read" }, { timeoutMs: leftMs(), signal });
  if (reply !== "needs-write") return reply;
  refuseWrite({ sql, params, queryType, allowWrite, ...rest });
  const written = await run({ ...query, mode: "write" }, { timeoutMs: leftMs(), signal });
  if (written === "needs-write") throw new Error("the engine asked for write mode in write mode");
  return written;
}

/** What is sent before and after the rows. */
function sqlEnvelope(
  queryType: QueryType,
  { rows, changed }: Pick<SqlAnswer, "rows" | "changed">,
): { prefix: string; suffix: string } {
  const told = changed === undefined ? "" : `"rows_changed":${changed},`;
  if (queryType === "raw")
    return { prefix: `{"message":"Raw SQL query executed.",${told}"data":`, suffix: "}" };
  if (rows === 0) return { prefix: '{"message":"Query executed, no data returned.","data":', suffix: "}" };
  return { prefix: '{"data":', suffix: "}" };
}

/** The whole answer: bytes if its rows are bytes, else a stream. */
export function wrapAnswer(queryType: QueryType, answer: SqlAnswer): SqlAnswer["body"] {
  const envelope = sqlEnvelope(queryType, answer);
  const prefix = Buffer.from(envelope.prefix);
  const suffix = Buffer.from(envelope.suffix);
  if (answer.body instanceof Uint8Array) return Buffer.concat([prefix, answer.body, suffix]);
  return surround(prefix, answer.body, suffix);
}

function refuseWrite({ queryType, allowWrite }: SqlRequest): void {
  if (queryType === "select")
    throw badRequest(
      "execute_sql: a statement that writes needs query_type 'raw', got 'select'; nothing changed",
    );
  if (!allowWrite) throw forbidden("execute_sql: writing SQL only through POST /db_command; nothing changed");
}

async function acquire(
  lease: WriteLease,
  { deadlineAt, timeoutMs, signal }: Pick<Limits, "deadlineAt" | "timeoutMs" | "signal">,
): ReturnType<WriteLease["acquire"]> {
  const deadline = AbortSignal.timeout(Math.max(0, Math.ceil(deadlineAt - performance.now())));
  try {
    return await lease.acquire(signal === undefined ? deadline : AbortSignal.any([deadline, signal]));
  } catch (error) {
    if (signal?.aborted) throw stoppedAsClientLeft();
    if (deadline.aborted)
      throw stoppedAtLimit({ timeoutMs, effect: "; it was waiting to write, nothing changed" });
    throw error;
  }
}

function surround(
  prefix: Uint8Array,
  body: ReadableStream<Uint8Array>,
  suffix: Uint8Array,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const ends = [prefix, suffix];
  return atClientsPace({
    async next() {
      if (ends.length === 2) return ends.shift()!;
      const { value } = await reader.read();
      return value ?? ends.shift() ?? null;
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
