/**
 * A large answer, read through a cursor: every row from one snapshot, a chunk at a time, when the
 * client has taken the one before.
 */
import type { PostgresConnection } from "./connection.ts";
import type { Lease } from "./pool.ts";
import { requestErrorOf } from "./postgres-errors.ts";

/** Longest that a client may take for one chunk: its snapshot keeps PostgreSQL from cleaning up. */
const CHUNK_TAKEN_MAX_MS = 10 * 60_000;
const CURSOR = "answer";

export type Row = Record<string, unknown>;

export interface RowStreamOptions {
  sql: string;
  params: unknown[];
  chunkRows: number;
  /** Rows as they are sent; may change them in place. */
  encode(rows: Row[]): string;
}

/**
 * Not a generator: one that was never begun would not run its `finally` on `return()`, and keep its
 * connection.
 */
export class RowStream implements AsyncIterableIterator<string> {
  readonly #lease: Lease;
  readonly #options: RowStreamOptions;
  #first: Row[] | null;
  #begun = false;
  #fetching = false;
  #done = false;

  private constructor(lease: Lease, options: RowStreamOptions, first: Row[]) {
    this.#lease = lease;
    this.#options = options;
    this.#first = first;
  }

  /**
   * Reads the first chunk already: an error can still become a status. The stream gives the lease
   * back; so does an error.
   */
  static async open(lease: Lease, options: RowStreamOptions): Promise<RowStream> {
    const { connection } = lease;
    try {
      // Sent together: one round trip.
      const [, , , first] = await Promise.all([
        connection.run("BEGIN READ ONLY"),
        connection.run(`SET LOCAL idle_in_transaction_session_timeout = ${CHUNK_TAKEN_MAX_MS}`),
        connection.run(`DECLARE ${CURSOR} NO SCROLL CURSOR FOR ${options.sql}`, options.params),
        fetchChunk(connection, options.chunkRows),
      ]);
      return new RowStream(lease, options, first);
    } catch (error) {
      lease.release(true);
      throw error;
    }
  }

  async next(): Promise<IteratorResult<string>> {
    if (this.#done) return { done: true, value: undefined };
    const { chunkRows, encode } = this.#options;
    try {
      const chunk = this.#first ?? (await this.#fetch());
      this.#first = null;
      const rows = encode(chunk).slice(1, -1);
      const start = this.#begun ? (rows === "" ? "" : ",") : '{"data":[';
      this.#begun = true;
      if (chunk.length === chunkRows) return { done: false, value: start + rows };
      await this.#end();
      return { done: false, value: `${start}${rows}]}` };
    } catch (error) {
      this.#done = true;
      this.#lease.release(true);
      throw requestErrorOf(error, "read");
    }
  }

  async return(): Promise<IteratorResult<string>> {
    if (this.#fetching) {
      this.#done = true;
      this.#lease.release(true);
    }
    await this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #fetch(): Promise<Row[]> {
    this.#fetching = true;
    try {
      return await fetchChunk(this.#lease.connection, this.#options.chunkRows);
    } finally {
      this.#fetching = false;
    }
  }

  async #end(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    let ended = false;
    try {
      await this.#lease.connection.run("COMMIT");
      ended = true;
    } finally {
      this.#lease.release(!ended);
    }
  }
}

/**
 * Without parameters it goes as a simple query, which keeps no plan: the cursor has other columns
 * the next time.
 */
function fetchChunk(connection: PostgresConnection, rows: number): Promise<Row[]> {
  return connection.run<Row>(`FETCH ${rows} FROM ${CURSOR}`);
}
