/** The rows of a SQLite file as they lie there, for comparing two files. */
import { Database } from "bun:sqlite";

const KEYS = {
  daily_prices: "ticker, date",
  hourly_prices: "ticker, datetime",
  realtime_data: "ticker, type, timestamp, seq",
  options_data: "ticker, option_ticker, timestamp",
  financial_info: "ticker, date",
} as const;

export type TableName = keyof typeof KEYS;
export const TABLES = Object.keys(KEYS) as TableName[];

/** All columns but the time of writing, integers in full. */
export function storedRows(path: string, table: TableName, where = "1"): unknown[] {
  using db = new Database(path, { readonly: true, safeIntegers: true });
  const rows = db
    .query<Record<string, unknown>, []>(`SELECT * FROM ${table} WHERE ${where} ORDER BY ${KEYS[table]}`)
    .all();
  return rows.map(({ write_timestamp, ...row }) => row);
}

export function countRows(path: string, table: TableName): number {
  using db = new Database(path, { readonly: true });
  return db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()!.n;
}
