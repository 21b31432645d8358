/** The columns of an answer's rows, and how their cells are written. */
import type { DuckDBDataChunk } from "@duckdb/node-api";
import { AVERAGE_COLUMNS } from "../../market/moving-averages.ts";
import type { BarInterval } from "../contract.ts";
import { ROW_TABLES, type TableName } from "../tables.ts";
import { storable } from "./lines.ts";
import {
  type WriteCells,
  writeAny,
  writeCounts,
  writeDates,
  writeNumbers,
  writeOffsetStamps,
  writeStamps,
} from "./wire-cells.ts";

/** One member of a row's JSON: a text that all rows share, or a column. */
type Member = { name: string; text: string } | { name: string; column: string; write: WriteCells };

export interface RowSource {
  table: TableName;
  /** In the order of the JSON. */
  members: Member[];
  stamp: string;
  stampType: "DATE" | "TIMESTAMP";
  /**
   * Oldest first. `place` is the row's own number: a key that a user stored twice has an order too.
   */
  order: string[];
}

const PRICES = ["open", "high", "low", "close"];

export function barSource(interval: BarInterval, ticker: string): RowSource {
  const daily = interval === "daily";
  const { name: table, stamp } = ROW_TABLES[interval];
  const averages = daily ? AVERAGE_COLUMNS : [];
  return {
    table,
    members: [
      daily
        ? { name: stamp, column: `${stamp}::DATE`, write: writeDates }
        : { name: stamp, column: `${stamp}::TIMESTAMP`, write: writeStamps },
      { name: "ticker", text: JSON.stringify(storable(ticker)) },
      ...PRICES.map(price),
      count("volume"),
      ...averages.map(price),
      {
        name: "write_timestamp",
        column: "write_timestamp::TIMESTAMP",
        write: writeOffsetStamps,
      },
    ],
    stamp,
    stampType: daily ? "DATE" : "TIMESTAMP",
    order: [stamp, "place"],
  };
}

/** @param type null: of several types, which is then read with each row. */
export function tickSource(
  ticker: string,
  type: string | null,
  { withSeq = false }: { withSeq?: boolean | undefined } = {},
): RowSource {
  return {
    table: "realtime_data",
    members: [
      { name: "timestamp", column: "timestamp::TIMESTAMP", write: writeStamps },
      { name: "ticker", text: JSON.stringify(storable(ticker)) },
      type === null
        ? { name: "type", column: "type", write: writeAny }
        : { name: "type", text: JSON.stringify(storable(type)) },
      price("price"),
      count("size"),
      price("ask_price"),
      count("ask_size"),
      { name: "write_timestamp", column: "write_timestamp::TIMESTAMP", write: writeStamps },
      ...(withSeq ? [count("seq")] : []),
    ],
    stamp: "timestamp",
    stampType: "TIMESTAMP",
    order: ["timestamp", "seq", "place"],
  };
}

function price(name: string): Member {
  return { name, column: name, write: writeNumbers };
}

function count(name: string): Member {
  return { name, column: name, write: writeCounts };
}

/** What a query selects for the members that are columns. */
export function columnsSql({ members }: RowSource): string {
  return members.flatMap((member) => ("column" in member ? [member.column] : [])).join(", ");
}

/**
 * The JSON of a chunk's rows, joined by commas. The first columns of the chunk are those of
 * `columnsSql`.
 */
export function encodeRows({ members }: RowSource, chunk: DuckDBDataChunk): string {
  const columns = members.filter((member) => "column" in member);
  /** Of a row: what stands before each cell, the cell, and at last the row's end. */
  const step = columns.length * 2 + 1;
  const parts = new Array<string>(chunk.rowCount * step);
  let before = "{";
  let first = 0;
  for (const [i, member] of members.entries()) {
    before += `${i === 0 ? "" : ","}"${member.name}":`;
    if ("text" in member) {
      before += member.text;
      continue;
    }
    for (let at = first; at < parts.length; at += step) parts[at] = before;
    member.write(chunk.getColumnVector(first / 2), { parts, first: first + 1, step });
    first += 2;
    before = "";
  }
  for (let at = first; at < parts.length; at += step) parts[at] = `${before}},`;
  parts[parts.length - 1] = `${before}}`;
  return parts.join("");
}

/**
 * A count as text, null if there is none or it isn't finite; whole ones without a fraction.
 *
 * @param type as known: the column may have changed to a wider one since.
 */
export function countAsText(column: string, type = "BIGINT"): string {
  if (!/^(DECIMAL|DOUBLE|FLOAT)/.test(type)) return `${column}::VARCHAR`;
  return `CASE WHEN typeof(${column}) LIKE 'DECIMAL%' THEN rtrim(rtrim(${column}::VARCHAR, '0'), '.')
    WHEN NOT isfinite(${column}::DOUBLE) THEN NULL
    WHEN ${column}::DOUBLE = trunc(${column}::DOUBLE) THEN coalesce(TRY_CAST(${column} AS BIGINT)::VARCHAR, ${column}::VARCHAR)
    ELSE ${column}::DOUBLE::VARCHAR END`;
}
