/**
 * Keeps the update log within its bound. Every worker has one, but only one at a time does anything. Bytes are counted once, when
 * updates are some seconds old, and noted for parts of the log, the oldest of which goes as a whole: so nothing is read twice, and the count
 * outlives restarts.
 */

import { RequestError } from "../../protocol/errors.ts";
import type { PostgresConnection } from "./connection.ts";
import type { PostgresPool } from "./pool.ts";
import { failureOf } from "./postgres-errors.ts";
import { LOCK_CLASS, TRIM_LOCK } from "./schema.ts";

const PAUSE_MS = 5_000;
/** Rows that one transaction counts, or deletes: some 50 ms. */
const COUNTED_AT_ONCE = 20_000;
const DELETED_AT_ONCE = 5_000;
/** Transactions of one round; what is left is for the next. */
const STEPS_PER_ROUND = 200;
/** The log is kept in so many parts. */
const PARTS = 32;
/** What a row takes beside its frame, roughly. */
const ROW_BYTES = 100;

// Within a transaction, as sessions are not ours behind a pool.
const LOCK_SQL = "SELECT pg_try_advisory_xact_lock($1::int, $2::int) AS mine";
const PARTS_SQL =
  "SELECT last_id::text AS last_id, bytes::float8 AS bytes FROM update_log_parts ORDER BY last_id";
const COUNT_SQL = `SELECT max(id)::text AS last_id, sum(octet_length(frame) + ${ROW_BYTES})::float8 AS bytes, count(*)::float8 AS rows
  FROM (SELECT id, frame FROM update_log WHERE id > $1::bigint ORDER BY id LIMIT ${COUNTED_AT_ONCE}) next`;
const NOTE_SQL = "INSERT INTO update_log_parts (last_id, bytes) VALUES ($1::bigint, $2::bigint)";
const EXTEND_SQL =
  "UPDATE update_log_parts SET last_id = $2::bigint, bytes = bytes + $3::bigint WHERE last_id = $1::bigint";
const DELETE_SQL = `WITH gone AS (
    DELETE FROM update_log WHERE id IN (
      SELECT id FROM update_log WHERE id > $1::bigint AND id <= $2::bigint ORDER BY id LIMIT ${DELETED_AT_ONCE})
    RETURNING id)
  SELECT max(id)::text AS last_id, count(*)::float8 AS rows FROM gone`;
const FORGET_SQL = "DELETE FROM update_log_parts WHERE last_id = $1::bigint";

interface Part {
  last_id: string;
  bytes: number;
}

export class LogTrimmer {
  readonly #pool: PostgresPool;
  readonly #bytesMax: number;
  /** Deleted so far: what PostgreSQL has not cleaned up yet need not be passed again. */
  #deletedTo = "0";
  #timer: Timer | null = null;
  #round: Promise<void> | null = null;
  #closed = false;

  /** @param bytesMax of the log, or a thirty-second more. */
  constructor(pool: PostgresPool, bytesMax: number) {
    this.#pool = pool;
    this.#bytesMax = bytesMax;
    this.#schedule();
  }

  /** Counts what has come, and deletes what is too much. @throws what the database has against it. */
  async trim(): Promise<void> {
    for (let step = 0; step < STEPS_PER_ROUND && !this.#closed; step++) {
      if (!(await this.#transaction((connection) => this.#step(connection)))) return;
    }
  }

  /** Waits for the transaction that is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#round;
  }

  /** Workers that started together don't meet each time. */
  #schedule(): void {
    this.#timer = setTimeout(
      () => {
        this.#round = this.#attempt().then(() => {
          this.#round = null;
          if (!this.#closed) this.#schedule();
        });
      },
      PAUSE_MS * (0.5 + Math.random()),
    );
    this.#timer.unref();
  }

  async #attempt(): Promise<void> {
    try {
      await this.trim();
    } catch (error) {
      // The database is away, or busy: the next round does it.
      if (failureOf(error) === null && !(error instanceof RequestError)) throw error;
    }
  }

  /** @returns false when there is nothing to do, or somebody else does it. */
  async #transaction(step: (connection: PostgresConnection) => Promise<boolean>): Promise<boolean> {
    const lease = await this.#pool.acquire("short");
    let done = false;
    try {
      const { connection } = lease;
      await connection.run("BEGIN");
      const [lock] = await connection.run<{ mine: boolean }>(LOCK_SQL, [LOCK_CLASS, TRIM_LOCK]);
      const more = lock?.mine === true && (await step(connection));
      await connection.run("COMMIT");
      done = true;
      return more;
    } finally {
      lease.release(!done);
    }
  }

  async #step(connection: PostgresConnection): Promise<boolean> {
    const parts = await connection.run<Part>(PARTS_SQL);
    if (await this.#count(connection, parts.at(-1) ?? null)) return true;
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    const [oldest] = parts;
    if (oldest === undefined || bytes <= this.#bytesMax) return false;
    await this.#delete(connection, oldest);
    return true;
  }

  /** @returns true when there may be more to count. */
  async #count(connection: PostgresConnection, newest: Part | null): Promise<boolean> {
    const [next] = await connection.run<{ last_id: string | null; bytes: number; rows: number }>(COUNT_SQL, [
      newest?.last_id ?? "0",
    ]);
    if (next === undefined || next.last_id === null) return false;
    const bytes = String(next.bytes);
    if (newest !== null && newest.bytes + next.bytes <= this.#bytesMax / PARTS)
      await connection.run(EXTEND_SQL, [newest.last_id, next.last_id, bytes]);
    else await connection.run(NOTE_SQL, [next.last_id, bytes]);
    return next.rows === COUNTED_AT_ONCE;
  }

  async #delete(connection: PostgresConnection, oldest: Part): Promise<void> {
    const [gone] = await connection.run<{ last_id: string | null; rows: number }>(DELETE_SQL, [
      this.#deletedTo,
      oldest.last_id,
    ]);
    if (gone?.rows === DELETED_AT_ONCE) {
      this.#deletedTo = gone.last_id!;
      return;
    }
    this.#deletedTo = oldest.last_id;
    await connection.run(FORGET_SQL, [oldest.last_id]);
  }
}
