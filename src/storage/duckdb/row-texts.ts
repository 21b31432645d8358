/** Single rows as texts, for what reads few of them and needs their values. */
import { ROWS_BEFORE } from "../completed-rows.ts";
import type { SaveRows } from "../contract.ts";
import {
  type KindColumn,
  type KindName,
  kindOf,
  partName,
  type RowKind,
  type SeriesRow,
} from "../model/kinds.ts";
import { countOf } from "../transfer-rows.ts";
import { seriesSql } from "./distinct-values.ts";
import { countAsText } from "./json-rows.ts";
import { storable } from "./lines.ts";
import { STAMP_FORMATS } from "./newest-stored.ts";
import type { CountTypes } from "./schema.ts";
import type { Session } from "./session.ts";

/** SQL of the stamp. */
export function stampText({ stamp }: RowKind): string {
  return `strftime(${stamp.name}, '${STAMP_FORMATS[stamp.type]}')`;
}

/** SQL of each value. */
export function valueTexts({ table, values }: RowKind, types: CountTypes): string[] {
  return values.map((column) => valueText(column, types.get(`${table}.${column.name}`)));
}

/** DuckDB's text of a double is the shortest that gives it again. */
function valueText({ name, type }: KindColumn, storedAs: string | undefined): string {
  if (type === "count") return countAsText(name, storedAs);
  if (type === "date" || type === "second" || type === "instant")
    return `strftime(${name}, '${STAMP_FORMATS[type]}')`;
  return type === "double" ? `CASE WHEN isfinite(${name}) THEN ${name} END::VARCHAR` : `${name}::VARCHAR`;
}

/** @param texts of the stamp and the values. @param what for errors. @throws TransferRowError */
export function rowOfTexts(name: KindName, [stamp, ...texts]: unknown[], what: string): SeriesRow {
  const row: SeriesRow = [String(stamp)];
  for (const [index, { type }] of kindOf(name).values.entries()) {
    const text = (texts[index] ?? null) as string | null;
    if (type === "count") row.push(countOf(text, what));
    else row.push(type === "double" && text !== null ? Number(text) : text);
  }
  return row;
}

/** What a save with `complete` starts from: see CompletedRows. @throws TransferRowError */
export async function rowsBefore(
  session: Session,
  { kind: name, ticker, part, rows }: SaveRows,
  types: CountTypes,
): Promise<SeriesRow[]> {
  const kind = kindOf(name);
  const series = seriesSql(kind);
  const stamp = kind.stamp.name;
  const found = await session.rows(
    `SELECT ${[stampText(kind), ...valueTexts(kind, types)].join(", ")} FROM ${kind.table}
     WHERE ${series.map((column, index) => `${column} = $${index + 1}`).join(" AND ")}
       AND ${stamp} <= $${series.length + 1}::TIMESTAMP ORDER BY ${stamp} DESC LIMIT ${ROWS_BEFORE}`,
    [...[ticker, ...(part === null ? [] : [part])].map(storable), rows[0]![0]],
  );
  return found.map((texts) => rowOfTexts(name, texts, `${ticker} ${partName(name, part)}`));
}
