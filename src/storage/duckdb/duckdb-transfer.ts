/**
 * Rows for a copy, from a file of this server or of the Python server as it is. Each page is a
 * query of its own: no snapshot is held, which would keep the old versions of rows that the copy
 * replaces in memory.
 */
import { type RowRange, type TransferReader, TransferRowError } from "../contract.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf, type RowKind, type SeriesRow, seriesLabel } from "../model/kinds.ts";
import { countOf, seqOf, storedStamp, walkPages } from "../transfer-rows.ts";
import { readColumns } from "./columns.ts";
import { seriesSql, storedParts, storedTickers } from "./distinct-values.ts";
import { storable } from "./lines.ts";
import type { Param, Session } from "./session.ts";
import { boundsOf, instant, readStoredColumns, type StoredColumns, valueSql } from "./stored-columns.ts";
import { Turns } from "./turns.ts";

/** Rows of one page, 1 MB or 2: four of DuckDB's vectors. */
const PAGE_ROWS = 8_192;
/** Of the time that the page before spanned: enough for a full page, mostly, and few rows more. */
const WINDOW_SHARE = 1.5;
/** The driver's results lie outside of the heap, so their memory doesn't make the collector run. */
const PAGES_PER_COLLECTION = 32;
const LAST_MS = Date.UTC(9999, 11, 31);
type Values = unknown[];

export class DuckDbTransfer implements TransferReader {
  readonly #session: Session;
  readonly #connect: () => Promise<Session>;
  readonly #close: () => void;
  readonly #turns = new Turns();
  #pages = 0;
  /** Those that are there. A count that becomes wider while a copy saves is read the same way. */
  readonly #columns = new Map<string, StoredColumns>();

  /** @param file `close` frees the session too. */
  constructor(session: Session, { connect, close }: { connect(): Promise<Session>; close(): void }) {
    this.#session = session;
    this.#connect = connect;
    this.#close = close;
  }

  async tickers(kind: KindName, after: string | null, limit: number): Promise<string[]> {
    if ((await this.#columnsOf(kindOf(kind).table)) === null) return [];
    return storedTickers((sql, params) => this.#rows(sql, params), kind, after, limit);
  }

  async parts(kind: KindName, ticker: string): Promise<string[]> {
    if ((await this.#columnsOf(kindOf(kind).table)) === null) return [];
    return storedParts((sql, params) => this.#rows(sql, params), kind, ticker);
  }

  async *rows({ kind: name, ticker, part, from, to }: RowRange): AsyncGenerator<SeriesRow[]> {
    const kind = kindOf(name);
    const columns = await this.#columnsOf(kind.table);
    if (columns === null) return;
    const label = `${ticker} ${seriesLabel(name, part)}`;
    const at = instant(kind.stamp.name, columns);
    // Nobody writes to a file without a seq, so the numbers of its rows stay.
    const hasSeq = columns.has("seq");
    const seq = kind.hasSeq ? (hasSeq ? "seq" : "rowid") : null;
    const isDate = kind.stamp.type === "date";
    const [first, last] = boundsOf(isDate);
    const series = seriesSql(kind);
    const [lower, upper] = [series.length + 1, series.length + 2];
    const filters = [
      ...series.map((column, index) => `${column} = $${index + 1}`),
      `${at.sql} >= $${lower}::${at.type}`,
      `${at.sql} <= $${upper}::${at.type}`,
      ...(seq === null ? [] : [`(${at.sql} > $${lower}::${at.type} OR ${seq} >= $${upper + 1}::BIGINT)`]),
    ];
    const values = kind.values.map((column) => valueSql(column, columns));
    const sql = `SELECT ${[isDate ? `${at.sql}::DATE::VARCHAR` : asText(at.sql), ...values, ...(seq === null ? [] : [seq])].join(", ")}
      FROM ${kind.table} WHERE ${filters.join(" AND ")}
      ORDER BY ${seq === null ? at.sql : `${at.sql}, ${seq}`} LIMIT ${PAGE_ROWS}`;
    const names = part === null ? [storable(ticker)] : [storable(ticker), storable(part)];
    const window = new Window();
    const pages = walkPages({
      kind: name,
      pageRows: PAGE_ROWS,
      read: async (row) => {
        const after = seq === null ? [] : [String(row?.at(-1) ?? Number.MIN_SAFE_INTEGER)];
        const params = [...names, row?.[0] ?? from ?? first, to ?? last, ...after];
        const page = await this.#page(window, sql, params, { series: label, from: lower - 1, to: upper - 1 });
        return page.map((stored) => rowOf(stored, kind, label));
      },
    });
    yield* kind.hasSeq && !hasSeq ? counted(pages) : pages;
  }

  columns(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    return readColumns(this.#connect, query);
  }

  close(): void {
    this.#close();
  }

  /** Null: there is no such table. */
  async #columnsOf(table: string): Promise<StoredColumns | null> {
    const known = this.#columns.get(table);
    if (known !== undefined) return known;
    const columns = await this.#turns.run(() => readStoredColumns(this.#session, table));
    if (columns === null) return null;
    this.#columns.set(table, columns);
    return columns;
  }

  /** @param params ticker first; the bounds are named by their place. */
  async #page(window: Window, sql: string, params: Param[], { series, from, to }: PageOf): Promise<Values[]> {
    const [start, end] = [String(params[from]), String(params[to])];
    if (++this.#pages % PAGES_PER_COLLECTION === 0) Bun.gc(true);
    try {
      const near = window.endFrom(start);
      if (near !== null && near < end) {
        const rows = await this.#rows(sql, params.with(to, near));
        if (rows.length === PAGE_ROWS) return window.note(rows);
      }
      return window.note(await this.#rows(sql, params));
    } catch (error) {
      if (!(error instanceof Error) || !/^(Conversion|Binder) Error:/.test(error.message)) throw error;
      throw new TransferRowError(`${series}: ${error.message.split("\n")[0]}`);
    }
  }

  #rows(sql: string, params: Param[]): Promise<Values[]> {
    return this.#turns.run(() => this.#session.rows(sql, params));
  }
}

interface PageOf {
  /** For messages. */
  series: string;
  /** Places of the bounds among the parameters. */
  from: number;
  to: number;
}

/**
 * Where the next page is going to end, guessed from the one before. Between two bounds DuckDB skips
 * all other rows; without the second it sorts, for every page, what is left of the series.
 */
class Window {
  #spanMs: number | null = null;

  /** In the form of the stamp; null without a guess. */
  endFrom(stamp: string): string | null {
    if (this.#spanMs === null) return null;
    const endMs = Math.min(LAST_MS, toMs(stamp) + this.#spanMs * WINDOW_SHARE + 1);
    return new Date(endMs).toISOString().replace("T", " ").slice(0, Math.min(stamp.length, 23));
  }

  note(rows: Values[]): Values[] {
    if (rows.length === PAGE_ROWS) this.#spanMs = toMs(String(rows.at(-1)![0])) - toMs(String(rows[0]![0]));
    return rows;
  }
}

function toMs(stamp: string): number {
  return Date.parse(`${stamp.slice(0, 23).replace(" ", "T")}Z`);
}

function asText(stamp: string): string {
  return `strftime(${stamp}, '%Y-%m-%d %H:%M:%S.%f')`;
}

/**
 * @param stored the stamp, the values and, where the kind has one, the seq.
 * @throws TransferRowError
 */
function rowOf(stored: Values, kind: RowKind, series: string): SeriesRow {
  const stamp = String(stored[0]);
  const row: SeriesRow = [storedStamp(stamp, kind, series)];
  for (const [index, { type }] of kind.values.entries()) {
    const value = stored[index + 1] as string | number | null;
    row.push(type === "count" ? countOf(value as string | null, `${series} ${stamp}`) : value);
  }
  if (kind.hasSeq) row.push(seqOf(stored.at(-1) as bigint, `${series} ${stamp}`));
  return row;
}

/**
 * Ticks that share a stamp become 0, 1, 2 … in the order stored, as an upgrade of the file makes
 * them.
 */
async function* counted(pages: AsyncIterable<SeriesRow[]>): AsyncGenerator<SeriesRow[]> {
  let stamp = "";
  let seq = 0;
  for await (const page of pages) {
    yield page.map((row) => {
      seq = row[0] === stamp ? seq + 1 : 0;
      stamp = row[0];
      return row.with(-1, seq) as SeriesRow;
    });
  }
}
