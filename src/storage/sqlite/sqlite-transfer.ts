/**
 * Rows for a copy, read page by page from one key to the next. No snapshot is held from page to
 * page: a long copy of a database that a server has open must not keep that server's WAL from being
 * folded in.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import { parseCalendarDate, parseTimestamp, TimestampError, toHourly } from "../../market/timestamp.ts";
import {
  type BarInterval,
  type BarRange,
  type BarRow,
  type Count,
  type RowKind,
  type TickRange,
  type TickRow,
  type TransferReader,
  TransferRowError,
} from "../contract.ts";
import { ROW_TABLES } from "../tables.ts";
import { openReaderConnection } from "./connection.ts";
import { storedTickers, storedTickTypes } from "./distinct-values.ts";

/** Rows of one page, about 1 MB. */
const PAGE_ROWS = 4_000;
/** Nobody waits for another answer of this process, so a lock of somebody else is waited for. */
const BUSY_TIMEOUT_MS = 10_000;
const LAST = "~";
const SECONDS_LENGTH = "2024-01-02 10:00:00".length;

type Params = SQLQueryBindings[];
type Values = unknown[];

/** Digits as text where a double can't hold them: the connection reads integers as doubles. */
export const exactDigits = (column: string): string =>
  `CASE WHEN typeof(${column}) = 'integer' AND ${column} NOT BETWEEN ${Number.MIN_SAFE_INTEGER} AND ${Number.MAX_SAFE_INTEGER}
   THEN CAST(${column} AS TEXT) ELSE ${column} END`;

export class SqliteTransfer implements TransferReader {
  readonly #db: Database;
  /** Of the tables that are there: a file of the Python server may lack some, and `seq`. */
  readonly #columns = new Map<RowKind, Set<string>>();

  /** @throws SQLiteError It can't be opened, or is no database. */
  constructor(path: string) {
    this.#db = openReaderConnection(path);
    try {
      this.#db.run(`PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}`);
      for (const kind of ["daily", "hourly", "ticks"] as const) {
        const columns = this.#db
          .query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?)")
          .all(ROW_TABLES[kind].name);
        if (columns.length > 0) this.#columns.set(kind, new Set(columns.map((column) => column.name)));
      }
    } catch (error) {
      this.#db.close(false);
      throw error;
    }
  }

  tickers(kind: RowKind, after: string | null, limit: number): string[] {
    return this.#columns.has(kind) ? storedTickers(this.#db, kind, after, limit) : [];
  }

  tickTypes(ticker: string): string[] {
    return this.#columns.has("ticks") ? storedTickTypes(this.#db, ticker) : [];
  }

  async *bars({ interval, ticker, from, to }: BarRange): AsyncGenerator<BarRow[]> {
    if (!this.#columns.has(interval)) return;
    const { name, stamp } = ROW_TABLES[interval];
    using statement = this.#db.prepare<unknown, Params>(
      `SELECT ${stamp}, open, high, low, close, ${exactDigits("volume")} FROM ${name}
       WHERE ticker = ?1 AND ${stamp} > ?2 AND ${stamp} >= ?3 AND ${stamp} <= ?4 ORDER BY ${stamp} LIMIT ${PAGE_ROWS}`,
    );
    let after = "";
    for (;;) {
      const page = statement.values(ticker, after, shortest(from), to ?? LAST) as Values[];
      if (page.length > 0) {
        after = page.at(-1)![0] as string;
        yield page.map((values) => barRow(values, interval, ticker));
      }
      if (page.length < PAGE_ROWS) return;
    }
  }

  async *ticks({ ticker, type, from, to }: TickRange): AsyncGenerator<TickRow[]> {
    const columns = this.#columns.get("ticks");
    if (columns === undefined) return;
    const [seq, order] = columns.has("seq") ? ["seq", "timestamp, seq"] : ["0", "timestamp"];
    const counted = ["size", "ask_size"].map(exactDigits);
    using statement = this.#db.prepare<unknown, Params>(
      `SELECT timestamp, price, ${counted[0]}, ask_price, ${counted[1]}, ${seq} FROM realtime_data
       WHERE ticker = ?1 AND type = ?2 AND (timestamp, ${seq}) > (?3, ?4) AND timestamp <= ?5
       ORDER BY ${order} LIMIT ${PAGE_ROWS}`,
    );
    let after: Params = [shortest(from), Number.MIN_SAFE_INTEGER];
    for (;;) {
      const page = statement.values(ticker, type, ...after, to ?? LAST) as Values[];
      if (page.length > 0) {
        after = [page.at(-1)![0], page.at(-1)![5]] as Params;
        yield page.map((values) => tickRow(values, ticker, type));
      }
      if (page.length < PAGE_ROWS) return;
    }
  }

  close(): void {
    this.#db.close(false);
  }
}

/**
 * The Python server left out a fraction, or a time, of zeros: the shortest text of an instant comes
 * before its others.
 */
function shortest(bound: string | null): string {
  return bound === null ? "" : bound.replace(/\.0{6}$/, "").replace(/ 00:00:00$/, "");
}

/** @param values in the order of the row, counts by `exactDigits`. @throws TransferRowError */
export function barRow(values: Values, interval: BarInterval, ticker: string): BarRow {
  const where = `${ticker} ${interval} ${values[0]}`;
  return [
    barStamp(values[0], interval, where),
    real(values[1], "open", where),
    real(values[2], "high", where),
    real(values[3], "low", where),
    real(values[4], "close", where),
    count(values[5], "volume", where),
  ];
}

/** As `barRow`. */
export function tickRow(values: Values, ticker: string, type: string): TickRow {
  const where = `${ticker} ${type} ${values[0]}`;
  return [
    canonical(values[0], where, parseTimestamp),
    real(values[1], "price", where),
    count(values[2], "size", where),
    real(values[3], "ask_price", where),
    count(values[4], "ask_size", where),
    wholeNumber(values[5], where),
  ];
}

function barStamp(stored: unknown, interval: BarInterval, where: string): string {
  if (interval === "daily") return canonical(stored, where, parseCalendarDate);
  const text = canonical(stored, where, parseTimestamp);
  if (!/^\.0+$/.test(text.slice(SECONDS_LENGTH)))
    throw new TransferRowError(`${where}: an hourly bar has no fraction of a second`);
  return toHourly(text);
}

function canonical(stored: unknown, where: string, parse: (value: unknown) => string | null): string {
  try {
    const stamp = typeof stored === "string" ? parse(stored) : null;
    if (stamp !== null) return stamp;
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error;
  }
  throw new TransferRowError(`${where}: its stamp can't be read`);
}

function real(value: unknown, column: string, where: string): number | null {
  if (value === null || typeof value === "number") return value;
  throw unfit(value, column, where);
}

function count(value: unknown, column: string, where: string): Count | null {
  if (value === null || typeof value === "number") return value;
  if (typeof value === "string" && /^-?\d{16,19}$/.test(value)) return value;
  throw unfit(value, column, where);
}

function wholeNumber(value: unknown, where: string): number {
  if (Number.isSafeInteger(value)) return value as number;
  throw unfit(value, "seq", where);
}

function unfit(value: unknown, column: string, where: string): TransferRowError {
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : "something else";
  return new TransferRowError(`${where}: ${column} is ${shown}, expected a number`);
}
