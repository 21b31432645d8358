/**
 * The newest row of each part of a ticker. The key is walked from part to part, however many rows
 * each has, and the newest one of each is looked up.
 */

import type { NewestOfPartsQuery } from "../contract.ts";
import { answerColumnsOf, kindOf, valueType } from "../model/kinds.ts";
import { inByteOrder } from "../series-order.ts";
import { answerSql } from "./answer-columns.ts";
import { textArray } from "./array-literals.ts";
import { distinctSql } from "./distinct-values.ts";
import { columnSql, SQL_TYPES, stampParam, valueParam } from "./sql-text.ts";

/** In order, without a limit. */
export function newestOfPartsSql(query: NewestOfPartsQuery): { sql: string; params: string[] } {
  const { kind: name, ticker, parts, from, to, by, where, columns } = query;
  const kind = kindOf(name);
  const part = columnSql(kind.part!);
  const stamp = columnSql(kind.stamp.name);
  const type = SQL_TYPES[kind.stamp.type];
  const params = [ticker, stampParam(kind, from, "first"), stampParam(kind, to, "last")];
  const param = (value: string): string => `$${params.push(value)}`;
  const found =
    parts === null
      ? distinctSql(kind.table, part, "t.ticker = $1")
      : `WITH found(value) AS (SELECT * FROM unnest(${param(textArray(inByteOrder(parts)))}::text[]))`;
  const order = [
    ...(by === "written" ? ["n.write_timestamp DESC NULLS LAST"] : []),
    `n.${stamp} DESC`,
    ...(kind.hasSeq ? ["n.seq DESC"] : []),
  ];
  const filters = where.flatMap(({ column, from, to }) => {
    const valued = valueType(kind, column);
    const sideOf = (bound: string | number): string =>
      `${param(valueParam(valued, bound))}::${SQL_TYPES[valued]}`;
    return [
      ...(from === null ? [] : [`p.${column} >= ${sideOf(from)}`]),
      ...(to === null ? [] : [`p.${column} <= ${sideOf(to)}`]),
    ];
  });
  const selected = answerColumnsOf(kind, columns).map(answerSql);
  const sql = `${found} SELECT ${selected.join(", ")}
    FROM found CROSS JOIN LATERAL (SELECT * FROM ${kind.table} n
      WHERE n.ticker = $1 AND n.${part} = found.value
        AND n.${stamp} >= $2::${type} AND n.${stamp} <= $3::${type}
      ORDER BY ${order.join(", ")} LIMIT 1) p
    WHERE ${["found.value IS NOT NULL", ...filters].join(" AND ")} ORDER BY p.${part}`;
  return { sql, params };
}
