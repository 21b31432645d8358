/**
 * Rows for a copy, from a file of this server or of the Python server as it is. Each page is a
 * query of its own: no snapshot is held, which would keep the old versions of rows that the copy
 * replaces in memory.
 */
import {
  type BarRange,
  type BarRow,
  type RowKind,
  type TickRange,
  type TickRow,
  type TransferReader,
  TransferRowError,
} from "../contract.ts";
import { ROW_TABLES } from "../tables.ts";
import { barStamp, countOf, seqOf, walkBars, walkTicks } from "../transfer-rows.ts";
import { storedTickers, storedTickTypes } from "./distinct-values.ts";
import { storable } from "./lines.ts";
import type { Param, Session } from "./session.ts";
import { Turns } from "./turns.ts";

/** Rows of one page, 1 MB or 2: four of DuckDB's vectors. */
const PAGE_ROWS = 8_192;
/** Of the time that the page before spanned: enough for a full page, mostly, and few rows more. */
const WINDOW_SHARE = 1.5;
/** The driver's results lie outside of the heap, so their memory doesn't make the collector run. */
const PAGES_PER_COLLECTION = 32;
const LAST_MS = Date.UTC(9999, 11, 31);
const FIRST_DATE = "0001-01-01";
const LAST_DATE = "9999-12-31";
const FIRST = `${FIRST_DATE} 00:00:00`;
const LAST = `${LAST_DATE} 23:59:59.999999`;

/** Types by the names of the columns. */
type Columns = Map<string, string>;
type Values = unknown[];

export class DuckDbTransfer implements TransferReader {
  readonly #session: Session;
  readonly #close: () => void;
  readonly #turns = new Turns();
  #pages = 0;
  /** Those that are there. A count that becomes wider while a copy saves is read the same way. */
  readonly #columns = new Map<string, Columns>();

  /** @param close frees the session too. */
  constructor(session: Session, close: () => void) {
    this.#session = session;
    this.#close = close;
  }

  async tickers(kind: RowKind, after: string | null, limit: number): Promise<string[]> {
    if ((await this.#columnsOf(ROW_TABLES[kind].name)) === null) return [];
    return storedTickers((sql, params) => this.#rows(sql, params), kind, after, limit);
  }

  async tickTypes(ticker: string): Promise<string[]> {
    if ((await this.#columnsOf("realtime_data")) === null) return [];
    return storedTickTypes((sql, params) => this.#rows(sql, params), ticker);
  }

  async *bars({ interval, ticker, from, to }: BarRange): AsyncGenerator<BarRow[]> {
    const { name, stamp } = ROW_TABLES[interval];
    const columns = await this.#columnsOf(name);
    if (columns === null) return;
    const [first, last] = interval === "daily" ? [FIRST_DATE, LAST_DATE] : [FIRST, LAST];
    const window = new Window();
    yield* walkBars(PAGE_ROWS, async (row) => {
      const at = instant(stamp, columns);
      const text = interval === "daily" ? `${at.sql}::DATE::VARCHAR` : asText(at.sql);
      const rows = await this.#page(
        window,
        `SELECT ${text}, ${["open", "high", "low", "close"].map((price) => real(price, columns)).join(", ")}, ${count("volume", columns)}
         FROM ${name} WHERE ticker = $1 AND ${at.sql} >= $2::${at.type} AND ${at.sql} <= $3::${at.type}
         ORDER BY ${at.sql} LIMIT ${PAGE_ROWS}`,
        [storable(ticker), row?.[0] ?? from ?? first, to ?? last],
        { series: `${ticker} ${interval} bars`, from: 1, to: 2 },
      );
      return rows.map((values) => barRow(values, interval, ticker));
    });
  }

  async *ticks({ ticker, type, from, to }: TickRange): AsyncGenerator<TickRow[]> {
    const columns = await this.#columnsOf("realtime_data");
    if (columns === null) return;
    // Nobody writes to a file without it, so the numbers of its rows stay.
    const seq = columns.has("seq") ? "seq" : "rowid";
    const window = new Window();
    const pages = walkTicks(PAGE_ROWS, async (row) => {
      const at = instant("timestamp", columns);
      const rows = await this.#page(
        window,
        `SELECT ${asText(at.sql)}, ${real("price", columns)}, ${count("size", columns)}, ${real("ask_price", columns)},
           ${count("ask_size", columns)}, ${seq}
         FROM realtime_data WHERE ticker = $1 AND type = $2 AND ${at.sql} >= $3::${at.type} AND ${at.sql} <= $4::${at.type}
           AND (${at.sql} > $3::${at.type} OR ${seq} >= $5::BIGINT)
         ORDER BY ${at.sql}, ${seq} LIMIT ${PAGE_ROWS}`,
        [
          storable(ticker),
          storable(type),
          row?.[0] ?? from ?? FIRST,
          to ?? LAST,
          String(row?.[5] ?? Number.MIN_SAFE_INTEGER),
        ],
        { series: `${ticker} ${type} ticks`, from: 2, to: 3 },
      );
      return rows.map((values) => tickRow(values, ticker, type));
    });
    yield* columns.has("seq") ? pages : counted(pages);
  }

  close(): void {
    this.#close();
  }

  /** Null: there is no such table. */
  async #columnsOf(table: string): Promise<Columns | null> {
    const known = this.#columns.get(table);
    if (known !== undefined) return known;
    const rows = await this.#rows(
      "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal AND table_name = $1",
      [table],
    );
    if (rows.length === 0) return null;
    const columns: Columns = new Map(rows.map(([name, type]) => [String(name).toLowerCase(), String(type)]));
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

/** What the column is compared as. Only its own type lets DuckDB skip what lies before a page. */
function instant(column: string, columns: Columns): { sql: string; type: string } {
  const type = columns.get(column);
  if (type === "DATE" || type === "TIMESTAMP") return { sql: column, type };
  return { sql: `TRY_CAST(${column} AS TIMESTAMP)`, type: "TIMESTAMP" };
}

function asText(stamp: string): string {
  return `strftime(${stamp}, '%Y-%m-%d %H:%M:%S.%f')`;
}

function real(column: string, columns: Columns): string {
  return columns.has(column) ? `${column}::DOUBLE` : "NULL::DOUBLE";
}

function count(column: string, columns: Columns): string {
  if (!columns.has(column)) return "NULL::VARCHAR";
  return columns.get(column) === "FLOAT" ? `${column}::DOUBLE::VARCHAR` : `${column}::VARCHAR`;
}

function barRow(values: Values, interval: BarRange["interval"], ticker: string): BarRow {
  const [stamp, open, high, low, close, volume] = values as [
    string,
    number | null,
    number | null,
    number | null,
    number | null,
    string | null,
  ];
  return [
    barStamp(stamp, interval, ticker),
    open,
    high,
    low,
    close,
    countOf(volume, `${ticker} ${interval} ${stamp}`),
  ];
}

function tickRow(values: Values, ticker: string, type: string): TickRow {
  const [stamp, price, size, askPrice, askSize, seq] = values as [
    string,
    number | null,
    string | null,
    number | null,
    string | null,
    bigint,
  ];
  const where = `${ticker} ${type} ${stamp}`;
  return [stamp, price, countOf(size, where), askPrice, countOf(askSize, where), seqOf(seq, where)];
}

/**
 * Ticks that share a stamp become 0, 1, 2 … in the order stored, as an upgrade of the file makes
 * them.
 */
async function* counted(pages: AsyncIterable<TickRow[]>): AsyncGenerator<TickRow[]> {
  let stamp = "";
  let seq = 0;
  for await (const page of pages) {
    yield page.map((row) => {
      seq = row[0] === stamp ? seq + 1 : 0;
      stamp = row[0];
      return [...row.slice(0, 5), seq] as TickRow;
    });
  }
}
