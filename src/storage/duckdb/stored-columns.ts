/** The columns that a table has, in a file of this server or of the Python server as it is. */
import type { KindColumn, RowKind } from "../model/kinds.ts";
import type { Session } from "./session.ts";

/** Types by the names of the columns. */
export type StoredColumns = Map<string, string>;

const FIRST_DATE = "0001-01-01";
const LAST_DATE = "9999-12-31";
const FIRST = `${FIRST_DATE} 00:00:00`;
const LAST = `${LAST_DATE} 23:59:59.999999`;

/** Stamps that are none, such as infinity, lie beyond them. */
export function boundsOf(isDate: boolean): [first: string, last: string] {
  return isDate ? [FIRST_DATE, LAST_DATE] : [FIRST, LAST];
}

/** Null: there is no such table. */
export async function readStoredColumns(session: Session, table: string): Promise<StoredColumns | null> {
  const found = await session.rows(
    `SELECT column_name, data_type FROM duckdb_columns()
     WHERE schema_name = 'main' AND NOT internal AND table_name = $1`,
    [table],
  );
  if (found.length === 0) return null;
  return new Map(found.map(([name, type]) => [String(name).toLowerCase(), String(type)]));
}

/** What the column is compared as. Only its own type lets DuckDB skip what lies before a page. */
export function instant(column: string, columns: StoredColumns): { sql: string; type: string } {
  const type = columns.get(column);
  if (type === "DATE" || type === "TIMESTAMP") return { sql: column, type };
  return { sql: `TRY_CAST(${column} AS TIMESTAMP)`, type: "TIMESTAMP" };
}

/** Of a count in whatever type its column has: a save may change it at any time. */
export function valueSql({ name, type }: KindColumn, columns: StoredColumns): string {
  if (type === "double") return columns.has(name) ? `${name}::DOUBLE` : "NULL::DOUBLE";
  if (type === "date") return columns.has(name) ? `${name}::DATE` : "NULL::DATE";
  if (type === "second" || type === "instant")
    return columns.has(name) ? `${name}::TIMESTAMP` : "NULL::TIMESTAMP";
  if (!columns.has(name)) return "NULL::VARCHAR";
  return type === "count" ? name : `${name}::VARCHAR`;
}

/** Of the type of the kind's stamp. */
export function stampSql({ stamp }: RowKind, at: { sql: string }): string {
  return `${at.sql}::${stamp.type === "date" ? "DATE" : "TIMESTAMP"}`;
}
