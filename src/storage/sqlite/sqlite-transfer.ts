/**
 * Rows for a copy, read page by page from one key to the next. No snapshot is held from page to
 * page: a long copy of a database that a server has open must not keep that server's WAL from being
 * folded in.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { RowRange, TransferReader } from "../contract.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import {
  KIND_NAMES,
  KINDS,
  type KindName,
  kindOf,
  partName,
  type SeriesRow,
  seriesColumns,
} from "../model/kinds.ts";
import { LAST, readColumns, shortest } from "./columns.ts";
import { openReaderConnection } from "./connection.ts";
import { storedParts, storedTickers } from "./distinct-values.ts";
import { rowColumns, storedRow } from "./stored-row.ts";

/** Rows of one page, about 1 MB. */
const PAGE_ROWS = 4_000;
/** Nobody waits for another answer of this process, so a lock of somebody else is waited for. */
const BUSY_TIMEOUT_MS = 10_000;

type Params = SQLQueryBindings[];
type Values = unknown[];

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
        const columns = this.#db
          .query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?)")
          .all(KINDS[kind].table);
        if (columns.length > 0) this.#columns.set(kind, new Set(columns.map((column) => column.name)));
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

  async *rows({ kind: name, ticker, part, from, to }: RowRange): AsyncGenerator<SeriesRow[]> {
    const there = this.#columns.get(name);
    if (there === undefined) return;
    const kind = kindOf(name);
    const stamp = kind.stamp.name;
    // A file of the Python server has no seq: each stamp is there once.
    const hasSeq = kind.hasSeq && there.has("seq");
    const columns = rowColumns(kind).map((column) => (column === "seq" && !hasSeq ? "0" : column));
    const series = seriesColumns(kind).map((column) => `${column} = ?`);
    const after = hasSeq ? `(${stamp}, seq) > (?, ?)` : `${stamp} > ?`;
    using statement = this.#db.prepare<unknown, Params>(
      `SELECT ${columns.join(", ")} FROM ${kind.table}
       WHERE ${series.join(" AND ")} AND ${after} AND ${stamp} >= ? AND ${stamp} <= ?
       ORDER BY ${stamp}${hasSeq ? ", seq" : ""} LIMIT ${PAGE_ROWS}`,
    );
    const key: Params = part === null ? [ticker] : [ticker, part];
    let last: Params = hasSeq ? ["", Number.MIN_SAFE_INTEGER] : [""];
    for (;;) {
      const page = statement.values(...key, ...last, shortest(from), to ?? LAST) as Values[];
      const end = page.at(-1);
      if (end !== undefined) {
        last = (hasSeq ? [end[0], end.at(-1)] : [end[0]]) as Params;
        yield page.map((values) => storedRow(values, name, `${ticker} ${partName(name, part)}`));
      }
      if (page.length < PAGE_ROWS) return;
    }
  }

  #open(): Database {
    const db = openReaderConnection(this.#path);
    db.run(`PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}`);
    return db;
  }

  /** On a connection of its own, whose snapshot ends with the walk. */
  columns(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    return readColumns(() => this.#open(), this.#columns.get(query.kind) ?? null, query);
  }

  close(): void {
    this.#db.close(false);
  }
}
