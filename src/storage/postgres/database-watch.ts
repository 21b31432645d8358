/**
 * Checks every few seconds whether the database takes writes and has the server's tables, and at
 * once after a statement has failed. So `/ready` tells the state even when no client saves.
 */

import { RequestError } from "../../protocol/errors.ts";
import { textArray } from "./array-literals.ts";
import { failureOf } from "./errors.ts";
import type { PostgresPool } from "./pool.ts";
import { LACKING_RIGHTS_SQL } from "./role-rights.ts";
import { findTableProblems } from "./table-check.ts";
import { TABLES } from "./table-definitions.ts";

/** Every worker looks; a look costs the database some milliseconds. */
export const WATCH_PAUSE_MS = 3_000;
/** Shortest pause before a look after a failure. */
const ASKED_PAUSE_MS = 250;
/** A failure that no look explains, such as a full disk, counts for so long. */
const FAILURE_COUNTS_MS = 10_000;

const TABLE_NAMES = TABLES.map(({ name }) => name);

/**
 * `configured` is what a new session would get from role and database, in PostgreSQL's order. A
 * session keeps the value that it began with, so the pool replaces a session with another one.
 */
const STATE_SQL = `SELECT pg_catalog.pg_is_in_recovery() AS standby, pg_catalog.current_setting('transaction_read_only') = 'on' AS readonly,
  (SELECT CASE WHEN source IN ('global', 'database', 'user', 'database user') THEN (setting::boolean)::text WHEN source = 'client' THEN 'client' END
    FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only') AS begun,
  (SELECT (pg_catalog.split_part(c.text, '=', 2)::boolean)::text FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c(text)
    WHERE c.text LIKE 'default_transaction_read_only=%'
      AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
      AND s.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user))
    ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1) AS configured,
  ${LACKING_RIGHTS_SQL} AS lacking`;

interface State {
  standby: boolean;
  readonly: boolean;
  begun: string | null;
  configured: string | null;
  lacking: string | null;
}

export interface WatchOptions {
  pauseMs: number;
  /** Called at each look that finds a problem. */
  onProblem(reason: string): void;
  /** Called at each look that finds none. */
  onSound(): void;
}

export class DatabaseWatch {
  readonly #pool: PostgresPool;
  readonly #options: WatchOptions;
  #timer: Timer | null = null;
  #looking: Promise<void> | null = null;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #failure: { reason: string; atMs: number } | null = null;
  #closed = false;

  constructor(pool: PostgresPool, options: WatchOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  async start(): Promise<void> {
    await this.#look();
    this.#schedule(this.#options.pauseMs);
  }

  noteFailure(reason: string): void {
    this.#failure = { reason, atMs: performance.now() };
    const sinceMs = performance.now() - this.#lookedAtMs;
    this.#schedule(Math.max(0, ASKED_PAUSE_MS - sinceMs));
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
  }

  #schedule(ms: number): void {
    if (this.#closed || this.#looking !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      void this.#look().then(() => this.#schedule(this.#options.pauseMs));
    }, ms);
    this.#timer.unref();
  }

  #look(): Promise<void> {
    this.#looking ??= this.#tell().finally(() => {
      this.#looking = null;
      this.#lookedAtMs = performance.now();
    });
    return this.#looking;
  }

  async #tell(): Promise<void> {
    try {
      const reason = (await this.#findProblem()) ?? this.#recentFailure();
      if (this.#closed) return;
      if (reason === null) this.#options.onSound();
      else this.#options.onProblem(reason);
    } catch (error) {
      // The database is away or busy; probes tell that.
      if (failureOf(error) === null && !(error instanceof RequestError)) throw error;
    }
  }

  async #findProblem(): Promise<string | null> {
    const lease = await this.#pool.acquire("shared");
    try {
      const [found] = await lease.connection.run<State>(STATE_SQL, [textArray(TABLE_NAMES)]);
      const { standby, readonly, begun, configured, lacking } = found!;
      // The sessions of a pool in between can't be replaced from here.
      if (begun !== configured && begun !== "client" && !this.#pool.pooled) this.#pool.renewAll();
      if ((standby || readonly) && this.#pool.hasOtherHosts) this.#pool.renewAll();
      if (standby) return "the database takes no writes: it is a standby";
      if (readonly) return "the database takes no writes: default_transaction_read_only is on";
      const problems = await findTableProblems(lease.connection, "made");
      if (problems.length === 0) {
        return lacking === null ? null : `the server's role has no right to read and write ${lacking}`;
      }
      return `the server's tables can't be used: ${problems.map(({ problem }) => problem).join("; ")}`;
    } finally {
      lease.release();
    }
  }

  #recentFailure(): string | null {
    if (this.#failure === null || performance.now() - this.#failure.atMs > FAILURE_COUNTS_MS) return null;
    return `the database can't do its work: ${this.#failure.reason}`;
  }
}
