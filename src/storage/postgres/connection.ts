/**
 * One connection to PostgreSQL: a Bun.SQL with one reserved connection. DESIGN.md, "Pool", says
 * why.
 */
import { type ReservedSQL, SQL } from "bun";
import { clientOptions, openOneOf } from "../../config/postgres-client.ts";
import type { PostgresHost, PostgresTarget } from "../../config/postgres-url.ts";
import type { Durability } from "../../config/settings.ts";
import { ConnectionLostError, endsConnection, NoAnswerError, NoPrimaryError } from "./errors.ts";

export const STATEMENT_TIMEOUT_MS = 30_000;
/** An answer may come so long after the statement's time; then the connection counts as dead. */
const ANSWER_GRACE_MS = 2_000;
export const CONNECT_TIMEOUT_MS = 5_000;
/** PostgreSQL ends an idle transaction, and with it the locks of a vanished worker. */
const TRANSACTION_IDLE_MAX_MS = 30_000;
/** Between two pieces of a COPY, of which the first may take a sort of the whole table. */
const COPY_SILENCE_MAX_MS = 5 * 60_000;

const TAKES_WRITES_SQL = `SELECT NOT pg_catalog.pg_is_in_recovery()
  AND pg_catalog.current_setting('transaction_read_only') = 'off' AS writable`;

export type Rows<T> = T[] & SQL.ResultMetadata;
type Row = Record<string, unknown>;

export interface ConnectionOptions {
  target: PostgresTarget;
  durability: Durability;
  /** PostgreSQL stops a statement of the server after this time. */
  statementTimeoutMs: number;
  connectTimeoutMs: number;
  /**
   * A pool in between gives each transaction another connection, so a session keeps no settings and
   * no prepared statements.
   */
  pooled: boolean;
  /** The server's own path, once it is known; before, that of the role or the URL. */
  searchPath?: string;
}

export interface RunOptions {
  /** Longest wait for the answer. PostgreSQL should stop the statement before. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

export class PostgresConnection {
  readonly #sql: SQL;
  readonly #session: ReservedSQL;
  readonly #timeoutMs: number;
  readonly openedAtMs = performance.now();
  #lost: Error | null = null;
  /** Called once, when the connection is lost without `close`. */
  onLost: (() => void) | null = null;

  private constructor(sql: SQL, session: ReservedSQL, timeoutMs: number) {
    this.#sql = sql;
    this.#session = session;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Of several hosts, to the one that takes writes.
   * @param prepare false: every result is text, and no statement is kept.
   */
  static open(
    options: ConnectionOptions,
    { prepare = true }: { prepare?: boolean } = {},
  ): Promise<PostgresConnection> {
    const { hosts, writable } = options.target;
    return openOneOf(options.target, async (host) => {
      const connection = await PostgresConnection.#openTo(host, options, prepare);
      if (hosts.length > 1 && writable) await connection.#requirePrimary(host);
      return connection;
    });
  }

  static async #openTo(
    host: PostgresHost,
    options: ConnectionOptions,
    prepare: boolean,
  ): Promise<PostgresConnection> {
    let closed: ((error: Error) => void) | null = null;
    const sql = new SQL({
      ...clientOptions(options.target, host, options.connectTimeoutMs),
      prepare: prepare && !options.pooled,
      connection: sessionParameters(options),
      onclose: (error) => closed?.(error ?? new ConnectionLostError("closed by the database")),
    });
    try {
      const connection = new PostgresConnection(sql, await sql.reserve(), options.statementTimeoutMs);
      closed = (error) => connection.#lose(error);
      return connection;
    } catch (error) {
      await sql.close({ timeout: 0 });
      throw error;
    }
  }

  /** Closes the connection where the host takes no writes. */
  async #requirePrimary({ host, port }: PostgresHost): Promise<void> {
    let takesWrites = false;
    try {
      const [row] = await this.run<{ writable: boolean }>(TAKES_WRITES_SQL);
      takesWrites = row?.writable === true;
    } finally {
      if (!takesWrites) await this.close();
    }
    if (!takesWrites) throw new NoPrimaryError(`${host}:${port} takes no writes now, nor does another host`);
  }

  /** The reason why it is dead; null while it is alive. */
  get lost(): Error | null {
    return this.#lost;
  }

  /** Runs one statement. Statements that are sent without waiting run in order. */
  run<T = Row>(text: string, params: unknown[] = [], options: RunOptions = {}): Promise<Rows<T>> {
    return this.#settle(this.#session.unsafe<T[]>(text, params), options);
  }

  /**
   * Returns cells as PostgreSQL sends them, and `result.columns`.
   * @param protocol "simple" takes no parameters, and gives every cell as text.
   */
  runRaw(
    text: string,
    params: unknown[],
    protocol: "simple" | "extended",
    options: RunOptions = {},
  ): Promise<Rows<(Uint8Array | null)[]>> {
    const query =
      protocol === "simple"
        ? this.#session.unsafe(text).simple().raw()
        : this.#session.unsafe(text, params).raw();
    return this.#settle(query as unknown as SQL.Query<(Uint8Array | null)[][]>, options);
  }

  /**
   * What a `COPY … TO STDOUT` gives, at the pace of whoever takes it. Given up, the statement is
   * stopped, and the transaction around it has failed; the connection is usable.
   *
   * @param signal stops it; the walk then ends as if it had come to its end.
   */
  async *copyOut(text: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    if (this.#lost !== null) throw this.#lost;
    const source = this.#session.unsafe(text).readable().getReader();
    const { promise: silence, reject } = Promise.withResolvers<never>();
    silence.catch(() => {});
    const timer = setTimeout(() => {
      const error = new NoAnswerError(`nothing came for ${COPY_SILENCE_MAX_MS} ms`);
      this.#lose(error);
      reject(error);
    }, COPY_SILENCE_MAX_MS);
    const cancel = (): void => void source.cancel().catch(() => {});
    signal?.addEventListener("abort", cancel);
    try {
      for (;;) {
        timer.refresh();
        const { value, done } = await Promise.race([source.read(), silence]);
        if (done) return;
        yield value;
      }
    } catch (error) {
      if (endsConnection(error)) this.#lose(error as Error);
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
      if (this.#lost === null) await source.cancel().catch(() => {});
    }
  }

  /** Whatever still runs on it fails. */
  async close(): Promise<void> {
    this.#lost ??= new ConnectionLostError("the connection was closed");
    await this.#sql.close({ timeout: 0 });
  }

  async #settle<T>(
    query: SQL.Query<T[]>,
    { timeoutMs = this.#timeoutMs, signal }: RunOptions,
  ): Promise<Rows<T>> {
    if (this.#lost !== null) throw this.#lost;
    const { promise: silence, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = new NoAnswerError(`no answer for ${timeoutMs + ANSWER_GRACE_MS} ms`);
      this.#lose(error);
      reject(error);
    }, timeoutMs + ANSWER_GRACE_MS);
    const cancel = (): void => void query.cancel();
    signal?.addEventListener("abort", cancel);
    try {
      return (await Promise.race([query, silence])) as Rows<T>;
    } catch (error) {
      if (endsConnection(error)) this.#lose(error as Error);
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    }
  }

  #lose(error: Error): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    // Every waiting statement gets its own error; an error of closing adds nothing.
    this.#sql.close({ timeout: 0 }).catch(() => undefined);
    this.onLost?.();
  }
}

/** Sent with the connection request, so that every connection has them. */
function sessionParameters({
  target,
  durability,
  pooled,
  statementTimeoutMs,
  searchPath,
}: ConnectionOptions): Record<string, string> {
  const always = {
    application_name: "stock-db-server",
    ...target.parameters,
    client_encoding: "UTF8",
    TimeZone: "UTC",
    DateStyle: "ISO",
    // With "off", a backslash could hide the end of a text from the reader of users' statements.
    standard_conforming_strings: "on",
  };
  if (pooled) return always;
  return {
    ...always,
    ...(searchPath === undefined ? {} : { search_path: searchPath }),
    statement_timeout: `${statementTimeoutMs}ms`,
    idle_in_transaction_session_timeout: `${TRANSACTION_IDLE_MAX_MS}`,
    // The database notices a vanished machine within a minute.
    tcp_keepalives_idle: "30",
    tcp_keepalives_interval: "10",
    tcp_keepalives_count: "3",
    ...(durability === "normal" ? { synchronous_commit: "off" } : {}),
  };
}
