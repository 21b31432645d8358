/**
 * Rows for a copy, read page by page from one key to the next. No snapshot is held from page to
 * page: a long copy of a database that a server has open must not keep that server's WAL from being
 * folded in.
 */
import type { Database } from "bun:sqlite";
import type { RowRange, TransferReader } from "../contract.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import { KIND_NAMES, type KindName, type SeriesRow } from "../model/kinds.ts";
import { columnsOf, readColumns, readRows } from "./columns.ts";
import { openReaderConnection } from "./connection.ts";
import { storedParts, storedTickers } from "./distinct-values.ts";

/** Nobody waits for another answer of this process, so a lock of somebody else is waited for. */
const BUSY_TIMEOUT_MS = 10_000;

export class SqliteTransfer implements TransferReader {
  readonly #path: string;
  readonly #db: Database;
  /** Of the tables that are there: a file of the Python server may lack some, and `seq`. */
  readonly #columns = new Map<KindName, Set<string>>();

  /** @throws SQLiteError It can't be opened, or is no database. */
  constructor(path: string) {
    this.#path = path;
    this.#db = this.#open();
    try {
      for (const kind of KIND_NAMES) {
        const columns = columnsOf(this.#db, kind);
        if (columns.size > 0) this.#columns.set(kind, columns);
      }
    } catch (error) {
      this.#db.close(false);
      throw error;
    }
  }

  tickers(kind: KindName, after: string | null, limit: number): string[] {
    return this.#columns.has(kind) ? storedTickers(this.#db, kind, after, limit) : [];
  }

  parts(kind: KindName, ticker: string): string[] {
    return this.#columns.has(kind) ? storedParts(this.#db, kind, ticker) : [];
  }

  async *rows(range: RowRange): AsyncGenerator<SeriesRow[]> {
    const there = this.#columns.get(range.kind);
    if (there !== undefined) yield* readRows(this.#db, there, range);
  }

  #open(): Database {
    const db = openReaderConnection(this.#path);
    db.run(`PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}`);
    return db;
  }

  /** On a connection of its own, whose snapshot ends with the walk. */
  columns(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    return readColumns({ open: () => this.#open() }, query);
  }

  close(): void {
    this.#db.close(false);
  }
}
