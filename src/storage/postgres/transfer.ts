/**
 * Rows for a copy, page by page from one key to the next by the primary key's index. No cursor: a
 * snapshot that is kept for hours would keep PostgreSQL from cleaning up what the copy itself
 * replaces.
 */
import type { RowRange, TransferReader } from "../contract.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf, partName, type SeriesRow } from "../model/kinds.ts";
import { walkPages } from "../transfer-rows.ts";
import { ColumnReader } from "./columns.ts";
import { storedParts, storedTickers } from "./distinct-values.ts";
import { failureOf, requestErrorOf } from "./errors.ts";
import type { PostgresPool } from "./pool.ts";
import { columnSql, isSeries, rowCells, SQL_TYPES, stampParam, storedRow } from "./sql-text.ts";
import { PostgresUpdates } from "./updates.ts";

/** Rows of one page, about 1 MB. */
const PAGE_ROWS = 4_000;
/** A page that met a broken connection is read again on another. */
const TRIES = 2;

export class PostgresTransfer implements TransferReader {
  readonly #pool: PostgresPool;
  readonly #close: () => Promise<void>;
  readonly #columns: ColumnReader;
  /** Null until asked for; without a table, no rows of its kind. */
  #tables: Promise<Set<string>> | null = null;

  constructor(pool: PostgresPool, close: () => Promise<void>) {
    this.#pool = pool;
    this.#close = close;
    this.#columns = new ColumnReader(pool, new PostgresUpdates(pool));
  }

  async tickers(kind: KindName, after: string | null, limit: number): Promise<string[]> {
    if (!(await this.#has(kind))) return [];
    return storedTickers((sql, params) => this.#run(sql, params), kind, after, limit);
  }

  async parts(kind: KindName, ticker: string): Promise<string[]> {
    if (!(await this.#has(kind))) return [];
    return storedParts((sql, params) => this.#run(sql, params), kind, ticker);
  }

  async *rows({ kind: name, ticker, part, from, to }: RowRange): AsyncGenerator<SeriesRow[]> {
    if (!(await this.#has(name))) return;
    const kind = kindOf(name);
    const label = `${ticker} ${partName(name, part)}`;
    const series = part === null ? [ticker] : [ticker, part];
    const at = `p.${columnSql(kind.stamp.name)}`;
    const type = SQL_TYPES[kind.stamp.type];
    const [first, last, seq] = [1, 2, 3].map((place) => `$${series.length + place}`);
    const start = kind.hasSeq
      ? `(${at}, p.seq) >= (${first}::${type}, ${seq}::bigint)`
      : `${at} >= ${first}::${type}`;
    const cells = rowCells(kind).map((cell, index) => `${cell} AS c${index}`);
    const sql = `SELECT ${cells.join(", ")} FROM ${kind.table} p
      WHERE ${isSeries(kind, "p")} AND ${start} AND ${at} <= ${last}::${type}
      ORDER BY ${at}${kind.hasSeq ? ", p.seq" : ""} LIMIT ${PAGE_ROWS}`;
    yield* walkPages({
      kind: name,
      pageRows: PAGE_ROWS,
      read: async (row) => {
        const after = kind.hasSeq ? [String(row?.at(-1) ?? Number.MIN_SAFE_INTEGER)] : [];
        const bounds = [stampParam(kind, row?.[0] ?? from, "first"), stampParam(kind, to, "last")];
        const page = await this.#run<Record<string, string | number | null>>(sql, [
          ...series,
          ...bounds,
          ...after,
        ]);
        return page.map((stored) => storedRow(Object.values(stored), kind, label));
      },
    });
  }

  async *columns(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    if (await this.#has(query.kind)) yield* this.#columns.read(query);
  }

  close(): Promise<void> {
    return this.#close();
  }

  async #has(kind: KindName): Promise<boolean> {
    this.#tables ??= this.#run<{ name: string }>(
      "SELECT tablename AS name FROM pg_tables WHERE schemaname = ANY (current_schemas(false))",
      [],
    ).then((rows) => new Set(rows.map((row) => row.name)));
    return (await this.#tables).has(kindOf(kind).table);
  }

  async #run<T>(sql: string, params: string[]): Promise<T[]> {
    // PostgreSQL stores no text with a NUL.
    if (params.some((param) => param.includes("\0"))) return [];
    for (let attempt = 1; ; attempt++) {
      try {
        const lease = await this.#pool.acquire("shared");
        try {
          return await lease.connection.run<T>(sql, params);
        } finally {
          lease.release();
        }
      } catch (error) {
        if (failureOf(error)?.kind === "lost" && attempt < TRIES) continue;
        throw requestErrorOf(error, "read");
      }
    }
  }
}
