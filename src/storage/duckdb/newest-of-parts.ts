/**
 * The newest row of each part of a ticker. DuckDB has no key to jump along: it reads the columns of
 * part and stamp of the ticker's rows, and then the rows that it has found.
 */
import type { NewestOfPartsQuery } from "../contract.ts";
import { kindOf, valueType } from "../model/kinds.ts";
import { columnsSql, type RowSource } from "./json-rows.ts";
import { storable } from "./lines.ts";
import type { PageQuery } from "./row-stream.ts";
import type { Param } from "./session.ts";

const CASTS = { date: "DATE", second: "TIMESTAMP", instant: "TIMESTAMP", double: "DOUBLE" } as const;

function listSql(param: string): string {
  return `from_json(${param}::VARCHAR, '["VARCHAR"]')`;
}

/** @param bounds ticker, first and last stamp. */
export function newestOfPartsSql(
  { kind: name, parts, by, where }: NewestOfPartsQuery,
  source: RowSource,
  bounds: Param[],
): PageQuery {
  const kind = kindOf(name);
  const { stampType } = source;
  const stamp = kind.stamp.name;
  const part = `"${kind.part}"`;
  const params = [...bounds];
  const param = (value: Param): string => `$${params.push(value)}`;
  const written = "coalesce(write_timestamp, '0001-01-01'::TIMESTAMP)";
  const order = [...(by === "written" ? [written] : []), stamp, ...(kind.hasSeq ? ["seq"] : [])];
  const newest = order.length === 1 ? stamp : `row(${order.join(", ")})`;
  const among =
    parts === null
      ? ""
      : ` AND ${part} IN (SELECT unnest(${listSql(param(JSON.stringify(parts.map(storable))))}))`;
  const filters = where.flatMap(({ column, from, to }) => {
    const type = CASTS[valueType(kind, column) as keyof typeof CASTS] ?? null;
    const sideOf = (bound: string | number): string =>
      type === null ? `${param(String(bound))}::VARCHAR` : `${param(String(bound))}::${type}`;
    const value = valueType(kind, column) === "count" ? `${column}::DOUBLE` : column;
    return [
      ...(from === null ? [] : [`${value} >= ${sideOf(from)}`]),
      ...(to === null ? [] : [`${value} <= ${sideOf(to)}`]),
    ];
  });
  const sql = `SELECT ${columnsSql(source)}, ${part} FROM ${kind.table}
    WHERE rowid IN (SELECT arg_max(rowid, ${newest}) FROM ${kind.table}
      WHERE ticker = $1 AND ${stamp} >= $2::${stampType} AND ${stamp} <= $3::${stampType}${among}
      GROUP BY ${part})${filters.map((filter) => ` AND ${filter}`).join("")} ORDER BY ${part}`;
  return { sql, params };
}
