/**
 * A save of columns: their arrays are appended to a temporary table, from which DuckDB's threads
 * insert. An appender of the table itself would say nothing of why a row is refused.
 */
import {
  BIGINT,
  DOUBLE,
  type DuckDBAppender,
  DuckDBDataChunk,
  type DuckDBType,
  type DuckDBVector,
  TIMESTAMP,
  VARCHAR,
} from "@duckdb/node-api";
import type { ColumnSave } from "../contract.ts";
import { type ColumnBatch, type ColumnData, rowColumnNames } from "../model/columns.ts";
import { kindOf, type RowKind } from "../model/kinds.ts";
import { Int64Reader } from "../model/stamp-text.ts";
import { seriesSql } from "./distinct-values.ts";
import { storable } from "./lines.ts";
import type { CountTypes } from "./schema.ts";
import type { Session } from "./session.ts";
import { copyInto } from "./vectors.ts";

/** Of a vector of DuckDB's. */
const CHUNK_ROWS = 2_048;
/** Rows that are appended before others have their turn, some ms. */
const TURN_ROWS = 16_384;
const STAGED = "temp.main.staged_rows";

const TYPES: Partial<Record<ColumnData["type"], DuckDBType>> = {
  double: DOUBLE,
  int64: BIGINT,
  instant: TIMESTAMP,
  text: VARCHAR,
};

/** Every key of the batch is larger than the one before it. */
export function isAscending({ kind, batch }: ColumnSave): boolean {
  const { stamp, hasSeq } = kindOf(kind);
  const stamps = readerOf(batch, stamp.name);
  const seqs = hasSeq ? readerOf(batch, "seq") : null;
  if (stamps === null || (hasSeq && seqs === null)) return false;
  for (let row = 1; row < batch.rows; row++) {
    const [before, at] = [stamps.at(row - 1), stamps.at(row)];
    if (at < before || (at === before && (seqs === null || seqs.at(row) <= seqs.at(row - 1)))) return false;
  }
  return true;
}

function readerOf({ columns }: ColumnBatch, name: string): Int64Reader | null {
  const data = columns.get(name);
  const isWhole = data?.type === "int64" || data?.type === "instant";
  return isWhole && data.nulls === null ? new Int64Reader(data.values) : null;
}

/** Whether each column of the table takes the values as they are. */
export function fitsTable({ kind: name, batch }: ColumnSave, countTypes: CountTypes): boolean {
  const kind = kindOf(name);
  return kind.values.every(({ name: column, type }) => {
    const data = batch.columns.get(column);
    if (data === undefined) return true;
    if (type !== "count") return data.type === (type === "double" ? "double" : "text");
    const stored = countTypes.get(`${kind.table}.${column}`);
    return (stored === "BIGINT" && data.type === "int64") || (stored === "DOUBLE" && data.type === "double");
  });
}

/** Within a transaction. @param now of writing. */
export async function insertColumns(
  session: Session,
  { kind: name, ticker, part, batch }: ColumnSave,
  now: string,
): Promise<void> {
  const kind = kindOf(name);
  const columns = rowColumnNames(name).filter((column) => batch.columns.has(column));
  const types = columns.map((column) => TYPES[batch.columns.get(column)!.type]!);
  const declared = columns.map((column, index) => `"${column}" ${types[index]}`);
  await session.run(`CREATE OR REPLACE TEMP TABLE ${STAGED} (${declared.join(", ")})`);
  const appender = await session.connection.createAppender("staged_rows", "main", "temp");
  try {
    await append(appender, types, batch, columns);
  } finally {
    appender.closeSync();
  }
  const names = part === null ? [storable(ticker)] : [storable(ticker), storable(part)];
  await session.run(insertSql(kind, columns), [...names, now]);
  await session.run(`DROP TABLE ${STAGED}`);
}

function insertSql(kind: RowKind, columns: string[]): string {
  const series = seriesSql(kind);
  const named = series.map((column, index) => `$${index + 1}::VARCHAR AS ${column}`);
  const time = `$${series.length + 1}::TIMESTAMP AS write_timestamp`;
  const staged = columns.map((column) => `"${column}"`);
  return `INSERT INTO ${kind.table} BY NAME SELECT ${[...named, ...staged, time].join(", ")} FROM ${STAGED}`;
}

async function append(
  appender: DuckDBAppender,
  types: DuckDBType[],
  { rows, columns: data }: ColumnBatch,
  columns: string[],
): Promise<void> {
  const chunk = DuckDBDataChunk.create(types, CHUNK_ROWS);
  for (let at = 0; at < rows; at += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, rows - at);
    chunk.reset();
    chunk.rowCount = count;
    for (const [index, column] of columns.entries())
      fill(chunk.getColumnVector(index), data.get(column)!, at, count);
    appender.appendDataChunk(chunk);
    if ((at + CHUNK_ROWS) % TURN_ROWS !== 0) continue;
    appender.flushSync();
    await new Promise(setImmediate);
  }
  appender.flushSync();
}

function fill(vector: DuckDBVector, data: ColumnData, at: number, count: number): void {
  const nulls = data.nulls?.subarray(at, at + count) ?? null;
  if (data.type !== "text") copyInto(vector, data.values.subarray(at, at + count), nulls);
  else {
    for (let i = 0; i < count; i++) {
      const text = nulls?.[i] === 1 ? null : storable(data.dictionary[data.codes[at + i]!]!);
      vector.setItem(i, text);
    }
  }
  vector.flush();
}
