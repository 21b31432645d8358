/**
 * Rows for a copy, read page by page from one key to the next. No snapshot is held from page to
 * page: a long copy of a database that a server has open must not keep that server's WAL from being
 * folded in.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import { parseCalendarDate, parseTimestamp, TimestampError, toHourly } from "../../market/timestamp.ts";
import { type Count, type RowRange, type TransferReader, TransferRowError } from "../contract.ts";
import {
  KIND_NAMES,
  KINDS,
  type KindColumn,
  type KindName,
  kindOf,
  partName,
  type RowKind,
  type SeriesRow,
  type SeriesValue,
  seriesColumns,
} from "../model/kinds.ts";
import { openReaderConnection } from "./connection.ts";
import { storedParts, storedTickers } from "./distinct-values.ts";

/** Rows of one page, about 1 MB. */
const PAGE_ROWS = 4_000;
/** Nobody waits for another answer of this process, so a lock of somebody else is waited for. */
const BUSY_TIMEOUT_MS = 10_000;
const LAST = "~";
const SECONDS_LENGTH = "2024-01-02 10:00:00".length;

type Params = SQLQueryBindings[];
type Values = unknown[];

/** Digits as text where a double can't hold them: the connection reads integers as doubles. */
const exactDigits = (column: string): string =>
  `CASE WHEN typeof(${column}) = 'integer' AND ${column} NOT BETWEEN ${Number.MIN_SAFE_INTEGER} AND ${Number.MAX_SAFE_INTEGER}
   THEN CAST(${column} AS TEXT) ELSE ${column} END`;

/** The columns of a `Row`, for `storedRow`. */
export function rowColumns({ stamp, values, hasSeq }: RowKind): string[] {
  const exact = ({ name, type }: KindColumn): string => (type === "count" ? exactDigits(name) : name);
  return [stamp.name, ...values.map(exact), ...(hasSeq ? ["seq"] : [])];
}

export class SqliteTransfer implements TransferReader {
  readonly #db: Database;
  /** Of the tables that are there: a file of the Python server may lack some, and `seq`. */
  readonly #columns = new Map<KindName, Set<string>>();

  /** @throws SQLiteError It can't be opened, or is no database. */
  constructor(path: string) {
    this.#db = openReaderConnection(path);
    try {
      this.#db.run(`PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}`);
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

/** @param values of `rowColumns`. @throws TransferRowError */
export function storedRow(values: Values, name: KindName, series: string): SeriesRow {
  const kind = kindOf(name);
  const where = `${series} ${values[0]}`;
  const row: SeriesRow = [stampOf(values[0], kind, where)];
  for (const [index, column] of kind.values.entries())
    row.push(storedValue(values[index + 1], column, where));
  if (kind.hasSeq) row.push(wholeNumber(values.at(-1), where));
  return row;
}

function stampOf(stored: unknown, { stamp, label }: RowKind, where: string): string {
  if (stamp.type === "date") return canonical(stored, where, parseCalendarDate);
  const text = canonical(stored, where, parseTimestamp);
  if (stamp.type === "instant") return text;
  if (!/^\.0+$/.test(text.slice(SECONDS_LENGTH)))
    throw new TransferRowError(`${where}: ${label} have no fraction of a second`);
  return toHourly(text);
}

function storedValue(value: unknown, { name, type }: KindColumn, where: string): SeriesValue {
  if (type === "double") return real(value, name, where);
  if (type === "count") return count(value, name, where);
  if (value === null || typeof value === "string") return value;
  throw new TransferRowError(`${where}: ${name} is no text`);
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
