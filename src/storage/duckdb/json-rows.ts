/** SQL that makes the JSON text of a row: DuckDB's own threads encode, and the event loop only passes texts on. */
import { AVERAGE_COLUMNS } from "../../market/moving-averages.ts";
import type { BarInterval } from "../contract.ts";
import { ROW_TABLES, type TableName } from "../tables.ts";
import type { CountTypes } from "./schema.ts";

export interface RowSource {
  table: TableName;
  /** The text of one row. Takes the ticker as JSON from `$2`, and a tick's type from `$3`. */
  json: string;
  stamp: string;
  stampType: "DATE" | "TIMESTAMP";
  /** Oldest first. `place` is the row's own number: a key that a user stored twice has an order too. */
  order: string[];
}

const PRICES = ["open", "high", "low", "close"];

export function barSource(interval: BarInterval, types: CountTypes): RowSource {
  const daily = interval === "daily";
  const { name: table, stamp } = ROW_TABLES[interval];
  const json = objectOf({
    [stamp]: daily ? `'"' || date::VARCHAR || 'T00:00:00.000000Z"'` : wireStamp(stamp),
    ticker: "$2",
    ...Object.fromEntries(PRICES.map((name) => [name, number(name)])),
    volume: count("volume", types.get(`${table}.volume`)),
    ...(daily ? Object.fromEntries(AVERAGE_COLUMNS.map((name) => [name, number(name)])) : {}),
    write_timestamp: orNull(`'"' || strftime(write_timestamp, '%Y-%m-%d %H:%M:%S.%f') || '+00:00"'`),
  });
  return {
    table,
    json,
    stamp,
    stampType: daily ? "DATE" : "TIMESTAMP",
    order: [stamp, "place"],
  };
}

/** @param type the JSON of the type, an expression of text. */
export function tickSource(types: CountTypes, type = "$3", withSeq = false): RowSource {
  const json = objectOf({
    timestamp: wireStamp("timestamp"),
    ticker: "$2",
    type,
    price: number("price"),
    size: count("size", types.get("realtime_data.size")),
    ask_price: number("ask_price"),
    ask_size: count("ask_size", types.get("realtime_data.ask_size")),
    write_timestamp: orNull(wireStamp("write_timestamp")),
    ...(withSeq ? { seq: orNull("seq::VARCHAR") } : {}),
  });
  return {
    table: "realtime_data",
    json,
    stamp: "timestamp",
    stampType: "TIMESTAMP",
    order: ["timestamp", "seq", "place"],
  };
}

/** A count as text, null if there is none or it isn't finite; whole ones without a fraction. @param type as known: the column may have changed to a wider one since. */
export function countAsText(column: string, type = "BIGINT"): string {
  if (!/^(DECIMAL|DOUBLE|FLOAT)/.test(type)) return `${column}::VARCHAR`;
  return `CASE WHEN typeof(${column}) LIKE 'DECIMAL%' THEN rtrim(rtrim(${column}::VARCHAR, '0'), '.')
    WHEN NOT isfinite(${column}::DOUBLE) THEN NULL
    WHEN ${column}::DOUBLE = trunc(${column}::DOUBLE) THEN coalesce(TRY_CAST(${column} AS BIGINT)::VARCHAR, ${column}::VARCHAR)
    ELSE ${column}::DOUBLE::VARCHAR END`;
}

/** Values are expressions of JSON text that are never null. */
function objectOf(members: Record<string, string>): string {
  const parts = Object.entries(members).map(
    ([name, value], i) => `'${i === 0 ? "{" : ","}"${name}":', ${value}`,
  );
  return `concat(${parts.join(", ")}, '}')`;
}

function wireStamp(column: string): string {
  return `strftime(${column}, '"%Y-%m-%dT%H:%M:%S.%fZ"')`;
}

/** JSON has no NaN and no infinity. DuckDB writes a double with as many digits as JavaScript does. */
function number(column: string): string {
  return `CASE WHEN isfinite(${column}) THEN ${column}::VARCHAR ELSE 'null' END`;
}

function count(column: string, type: string | undefined): string {
  return orNull(countAsText(column, type));
}

function orNull(text: string): string {
  return `coalesce(${text}, 'null')`;
}
