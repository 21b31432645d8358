/** Declares the columns of an answer's rows, and encodes their chunks. */
import type { DuckDBDataChunk } from "@duckdb/node-api";
import type { RowRange } from "../contract.ts";
import { type ColumnType, type KindColumn, kindOf, type RowKind } from "../model/kinds.ts";
import { storable } from "./lines.ts";
import {
  type WriteCells,
  writeAny,
  writeCounts,
  writeDates,
  writeJson,
  writeNumbers,
  writeOffsetStamps,
  writeStamps,
} from "./wire-cells.ts";

/** A member of a row's JSON: a text that all rows share, or a column. */
type Member = { name: string; text: string } | { name: string; column: string; write: WriteCells };

export interface RowSource {
  kind: RowKind;
  members: Member[];
  stampType: "DATE" | "TIMESTAMP";
  /** Oldest first. `place` is the rowid: it orders rows of a key that a user stored twice. */
  order: string[];
}

export function rowSource({ kind: name, ticker, part, withSeq, withExtra }: SourceQuery): RowSource {
  const kind = kindOf(name);
  const { stamp, values, computed, writtenForm } = kind;
  const isDate = stamp.type === "date";
  return {
    kind,
    members: [
      isDate
        ? { name: stamp.name, column: `${stamp.name}::DATE`, write: writeDates }
        : { name: stamp.name, column: `${stamp.name}::TIMESTAMP`, write: writeStamps },
      { name: "ticker", text: JSON.stringify(storable(ticker)) },
      ...(kind.part === null ? [] : [{ name: kind.part, text: JSON.stringify(storable(part!)) }]),
      ...values.filter(({ onRequest }) => !onRequest).map(valueMember),
      ...computed.map((column) => ({ name: column, column, write: writeNumbers })),
      {
        name: "write_timestamp",
        column: "write_timestamp::TIMESTAMP",
        write: writtenForm === "offset" ? writeOffsetStamps : writeStamps,
      },
      ...(withSeq && kind.hasSeq ? [{ name: "seq", column: "seq", write: writeCounts }] : []),
      ...(withExtra ? values.filter(({ onRequest }) => onRequest).map(valueMember) : []),
    ],
    stampType: isDate ? "DATE" : "TIMESTAMP",
    order: [stamp.name, ...(kind.hasSeq ? ["seq"] : []), "place"],
  };
}

type SourceQuery = Pick<RowRange, "kind" | "ticker" | "part" | "withSeq" | "withExtra">;

const WRITERS: Partial<Record<ColumnType, WriteCells>> = {
  double: writeNumbers,
  count: writeCounts,
  json: writeJson,
};

function valueMember({ name, type }: KindColumn): Member {
  const write = WRITERS[type] ?? writeAny;
  return { name, column: name, write };
}

/** SQL for the members that are columns. */
export function columnsSql({ members }: RowSource): string {
  return members.flatMap((member) => ("column" in member ? [member.column] : [])).join(", ");
}

/** Joins a chunk's rows by commas. The chunk begins with the columns of `columnsSql`. */
export function encodeRows({ members }: RowSource, chunk: DuckDBDataChunk): string {
  const columns = members.filter((member) => "column" in member);
  /** Each row has a text before each cell, the cell, and an end. */
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
 * A count as text, whole ones without a fraction; null if it isn't finite.
 *
 * @param type as last known: the column may have a wider one by now.
 */
export function countAsText(column: string, type = "BIGINT"): string {
  if (!/^(DECIMAL|DOUBLE|FLOAT)/.test(type)) return `${column}::VARCHAR`;
  return `CASE WHEN typeof(${column}) LIKE 'DECIMAL%' THEN rtrim(rtrim(${column}::VARCHAR, '0'), '.')
    WHEN NOT isfinite(${column}::DOUBLE) THEN NULL
    WHEN ${column}::DOUBLE = trunc(${column}::DOUBLE) THEN coalesce(TRY_CAST(${column} AS BIGINT)::VARCHAR, ${column}::VARCHAR)
    ELSE ${column}::DOUBLE::VARCHAR END`;
}
