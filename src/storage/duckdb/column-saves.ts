/**
 * A save of columns: their arrays are appended to a temporary table, from which DuckDB's threads
 * insert. An appender of the table itself would say nothing of why a row is refused.
 */
import {
  BIGINT,
  DATE,
  DOUBLE,
  type DuckDBAppender,
  DuckDBDataChunk,
  type DuckDBType,
  type DuckDBVector,
  TIMESTAMP,
  VARCHAR,
} from "@duckdb/node-api";
import { seqsOf, withoutRows, withSeqs } from "../column-saves.ts";
import type { ColumnSave } from "../contract.ts";
import { type ColumnBatch, type ColumnData, cellReaders, rowColumnNames } from "../model/columns.ts";
import { type ColumnType, kindOf, type RowKind } from "../model/kinds.ts";
import { Int64Reader } from "../model/stamp-text.ts";
import { mayBeLogged } from "../save-counts.ts";
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
  date: DATE,
  text: VARCHAR,
};

const COLUMN_TYPES = {
  text: "text",
  json: "text",
  double: "double",
  date: "date",
  second: "instant",
  instant: "instant",
} as const satisfies Record<Exclude<ColumnType, "count">, ColumnData["type"]>;

/**
 * The save with the `seq` of each tick, if every key is larger than the one before it and nothing
 * but a look at the newest stored row tells whether they are new. Null: as rows.
 */
export function ascending(save: ColumnSave): ColumnSave | null {
  const { kind, batch } = save;
  if (kind === "daily" || batch.rows === 0 || mayBeLogged(withoutRows(save))) return null;
  if (!kindOf(kind).hasSeq) return isAscending(save) ? save : null;
  const seqs = seqsOf(save);
  if (seqs === null) return null;
  const counted = { ...save, batch: withSeqs(batch, seqs) };
  return isAscending(counted) ? counted : null;
}

/** Whose rows they are, as stored, and their first and last stamp. */
export function spanOf({ kind, ticker, part, batch }: ColumnSave) {
  const [stampAt] = cellReaders(kind, batch);
  return {
    ...{ kind, ticker: storable(ticker), part: storable(part ?? "") },
    ...{ first: String(stampAt!(0)), last: String(stampAt!(batch.rows - 1)) },
  };
}

function isAscending({ kind, batch }: ColumnSave): boolean {
  const { stamp, hasSeq } = kindOf(kind);
  const stamps = readerOf(batch, stamp.name);
  const seqs = hasSeq ? readerOf(batch, "seq") : null;
  if (stamps === null || (hasSeq && seqs === null)) return false;
  let before = stamps.at(0);
  for (let row = 1; row < batch.rows; row++) {
    const at = stamps.at(row);
    if (at < before) return false;
    if (at === before && (seqs === null || seqs.at(row) <= seqs.at(row - 1))) return false;
    before = at;
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
    if (type !== "count") return data.type === COLUMN_TYPES[type];
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
