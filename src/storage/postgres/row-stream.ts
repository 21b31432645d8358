/**
 * Streams a large answer through a cursor, from one snapshot. The client's pace decides when the
 * next chunk is read.
 */
import type { PiecesSource, RowsPiece } from "../row-pieces.ts";
import type { PostgresConnection } from "./connection.ts";
import { requestErrorOf } from "./errors.ts";
import type { Lease } from "./pool.ts";

/** A client may take so long for one chunk; its snapshot keeps VACUUM from cleaning up. */
const CHUNK_TAKEN_MAX_MS = 10 * 60_000;
const CURSOR = "answer";

export type Row = Record<string, unknown>;

export interface RowStreamOptions {
  sql: string;
  params: unknown[];
  chunkRows: number;
  /** May change the rows in place. */
  encode(rows: Row[]): string;
}

export class RowStream implements PiecesSource {
  readonly #lease: Lease;
  readonly #options: RowStreamOptions;
  #first: Row[] | null;
  #fetching = false;

  private constructor(lease: Lease, options: RowStreamOptions, first: Row[]) {
    this.#lease = lease;
    this.#options = options;
    this.#first = first;
  }

  /** Reads the first chunk at once, so that an error can still become a status. */
  static async open(lease: Lease, options: RowStreamOptions): Promise<RowStream> {
    const { connection } = lease;
    try {
      // One round trip for all.
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

  async next(): Promise<RowsPiece> {
    const { chunkRows, encode } = this.#options;
    try {
      const chunk = this.#first ?? (await this.#fetch());
      this.#first = null;
      return {
        rows: encode(chunk).slice(1, -1),
        count: chunk.length,
        isLast: chunk.length < chunkRows,
      };
    } catch (error) {
      throw requestErrorOf(error, "read");
    }
  }

  async end(failed: boolean): Promise<void> {
    if (failed || this.#fetching) {
      this.#lease.release(true);
      return;
    }
    let ended = false;
    try {
      await this.#lease.connection.run("COMMIT");
      ended = true;
    } catch (error) {
      throw requestErrorOf(error, "read");
    } finally {
      this.#lease.release(!ended);
    }
  }

  async #fetch(): Promise<Row[]> {
    this.#fetching = true;
    try {
      return await fetchChunk(this.#lease.connection, this.#options.chunkRows);
    } finally {
      this.#fetching = false;
    }
  }
}

/**
 * Without parameters it is a simple query, which keeps no plan: the next cursor has other columns.
 */
function fetchChunk(connection: PostgresConnection, rows: number): Promise<Row[]> {
  return connection.run<Row>(`FETCH ${rows} FROM ${CURSOR}`);
}
