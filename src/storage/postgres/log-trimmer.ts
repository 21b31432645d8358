/**
 * Keeps the update log within its bound; one worker at a time works. DESIGN.md, "Update log", says
 * how it counts.
 */

import { RequestError } from "../../protocol/errors.ts";
import type { PostgresConnection } from "./connection.ts";
import { failureOf } from "./errors.ts";
import type { PostgresPool } from "./pool.ts";
import { LOCK_CLASS, TRIM_LOCK } from "./schema.ts";

/** The mean pause between two rounds; each is up to half shorter or longer. */
export const TRIM_PAUSE_MS = 5_000;
/** One transaction counts or deletes so many rows, in some 50 ms. */
const COUNTED_AT_ONCE = 20_000;
const DELETED_AT_ONCE = 5_000;
/** Most transactions of a round; the next round does the rest. */
const STEPS_PER_ROUND = 1_000;
/** The log has so many parts, unless they would be smaller than the minimum. */
const PARTS = 32;
const PART_BYTES_MIN = 64 * 1024;
/** Estimated size of a row without its frame. */
const ROW_BYTES = 100;

// A lock of the transaction: behind a pool, a session may change.
const LOCK_SQL = "SELECT pg_try_advisory_xact_lock($1::int, $2::int) AS mine";
const PARTS_SQL =
  "SELECT p.last_id::text AS last_id, p.bytes::float8 AS bytes FROM update_log_parts p ORDER BY p.last_id";
/** Selects rows after an id until they have so many bytes. */
const COUNT_SQL = `SELECT pg_catalog.max(id)::text AS last_id, pg_catalog.sum(bytes)::float8 AS bytes, pg_catalog.count(*)::int AS rows FROM (
    SELECT n.*, pg_catalog.sum(bytes) OVER (ORDER BY id) - bytes AS before FROM (
      SELECT id, pg_catalog.octet_length(frame) + ${ROW_BYTES} AS bytes FROM update_log WHERE id > $1::bigint ORDER BY id LIMIT $2::int
    ) n) r WHERE before < $3::bigint`;
const NOTE_SQL = "INSERT INTO update_log_parts (last_id, bytes) VALUES ($1::bigint, $2::bigint)";
const EXTEND_SQL =
  "UPDATE update_log_parts SET last_id = $2::bigint, bytes = bytes + $3::bigint WHERE last_id = $1::bigint";
const DELETE_SQL = `WITH gone AS (
    DELETE FROM update_log WHERE id IN (
      SELECT id FROM update_log WHERE id > $1::bigint AND id <= $2::bigint ORDER BY id LIMIT ${DELETED_AT_ONCE})
    RETURNING id)
  SELECT pg_catalog.max(id)::text AS last_id, pg_catalog.count(*)::float8 AS rows FROM gone`;
const FORGET_SQL = "DELETE FROM update_log_parts WHERE last_id = $1::bigint";

interface Part {
  last_id: string;
  bytes: number;
}

export interface TrimOptions {
  /** The log may be longer between two rounds. */
  bytesMax: number;
  pauseMs: number;
  /** Without them the trimmer is SERIALIZABLE: of several workers' transactions, one survives. */
  advisoryLocks: boolean;
  /** Called once, if the database refuses to trim. */
  onRefused(reason: string): void;
}

export class LogTrimmer {
  readonly #pool: PostgresPool;
  readonly #options: TrimOptions;
  readonly #partBytes: number;
  #refused = false;
  /** A DELETE starts behind it, and need not pass rows that VACUUM has yet to remove. */
  #deletedTo = "0";
  #timer: Timer | null = null;
  #round: Promise<void> | null = null;
  #closed = false;

  constructor(pool: PostgresPool, options: TrimOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#partBytes = Math.max(PART_BYTES_MIN, options.bytesMax / PARTS);
    this.#schedule();
  }

  async trim(): Promise<void> {
    for (let step = 0; step < STEPS_PER_ROUND && !this.#closed; step++) {
      if (!(await this.#transaction((connection) => this.#step(connection)))) return;
    }
  }

  /** Waits for the running transaction. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#round;
  }

  /** The random pause keeps apart workers that started together. */
  #schedule(): void {
    this.#timer = setTimeout(
      () => {
        this.#round = this.#attempt().then(() => {
          this.#round = null;
          if (!this.#closed) this.#schedule();
        });
      },
      this.#options.pauseMs * (0.5 + Math.random()),
    );
    this.#timer.unref();
  }

  async #attempt(): Promise<void> {
    try {
      await this.trim();
    } catch (error) {
      const failure = failureOf(error);
      if (failure === null && !(error instanceof RequestError)) throw error;
      // When the database is away or busy, the next round does it.
      if (failure?.kind !== "refused" || this.#refused) return;
      this.#refused = true;
      this.#options.onRefused(failure.message);
    }
  }

  /** @returns false when nothing is left to do, or another worker does it. */
  async #transaction(step: (connection: PostgresConnection) => Promise<boolean>): Promise<boolean> {
    const lease = await this.#pool.acquire("short");
    let done = false;
    try {
      const { connection } = lease;
      const more = (await this.#begin(connection)) && (await step(connection));
      await connection.run("COMMIT");
      done = true;
      return more;
    } finally {
      lease.release(!done);
    }
  }

  /** @returns false when another worker does it. */
  async #begin(connection: PostgresConnection): Promise<boolean> {
    if (!this.#options.advisoryLocks) {
      await connection.run("BEGIN ISOLATION LEVEL SERIALIZABLE");
      return true;
    }
    await connection.run("BEGIN");
    const [lock] = await connection.run<{ mine: boolean }>(LOCK_SQL, [LOCK_CLASS, TRIM_LOCK]);
    return lock?.mine === true;
  }

  async #step(connection: PostgresConnection): Promise<boolean> {
    const parts = await connection.run<Part>(PARTS_SQL);
    const counted = await this.#count(connection, parts.at(-1) ?? null);
    const bytes = parts.reduce((sum, part) => sum + part.bytes, counted.bytes);
    const [oldest] = parts;
    if (oldest === undefined || bytes <= this.#options.bytesMax) return counted.more;
    await this.#delete(connection, oldest);
    return true;
  }

  async #count(
    connection: PostgresConnection,
    newest: Part | null,
  ): Promise<{ bytes: number; more: boolean }> {
    const isFull = newest === null || newest.bytes >= this.#partBytes;
    const room = isFull ? this.#partBytes : this.#partBytes - newest.bytes;
    const limit = Math.min(COUNTED_AT_ONCE, Math.ceil(room / ROW_BYTES));
    const [next] = await connection.run<{ last_id: string | null; bytes: number; rows: number }>(COUNT_SQL, [
      newest?.last_id ?? "0",
      limit,
      room,
    ]);
    if (next === undefined || next.last_id === null) return { bytes: 0, more: false };
    const { last_id: lastId, bytes, rows } = next;
    if (isFull) await connection.run(NOTE_SQL, [lastId, String(bytes)]);
    else await connection.run(EXTEND_SQL, [newest.last_id, lastId, String(bytes)]);
    return { bytes, more: rows === limit || bytes >= room };
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
