/** Batches of columns out of DuckDB's chunks. */
import {
  DuckDBBigIntVector,
  type DuckDBDataChunk,
  DuckDBDoubleVector,
  type DuckDBVector,
} from "@duckdb/node-api";
import { countData, Dictionary } from "../column-values.ts";
import type { ColumnBatch, ColumnData, ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf, type RowKind, seriesLabel } from "../model/kinds.ts";
import { countOf } from "../transfer-rows.ts";
import { memoryOf, validBits } from "./vectors.ts";

/** Rows of one ticker and part that follow each other. */
export interface StoredSeries {
  ticker: string;
  part: string;
  rows: number;
  /** There are more, which the walk doesn't come to. */
  isCut?: true;
}

export class BatchBuilder {
  rows = 0;
  readonly #names: [column: string, texts: Dictionary, nameOf: (series: StoredSeries) => string][] = [];
  /** In the order of the chunks' columns. */
  readonly #read: [column: string, builder: ColumnBuilder][] = [];
  readonly #kind: KindName;
  readonly #columns: readonly string[];

  constructor({ kind: name, columns }: Pick<ColumnQuery, "kind" | "columns">, rowsMax: number) {
    const kind = kindOf(name);
    this.#kind = name;
    this.#columns = columns;
    for (const column of columns) {
      if (column === "ticker") this.#names.push([column, new Dictionary(rowsMax), ({ ticker }) => ticker]);
      else if (column === kind.part) this.#names.push([column, new Dictionary(rowsMax), ({ part }) => part]);
      else this.#read.push([column, builderFor(column, kind, rowsMax)]);
    }
  }

  /** @param spans whose rows the chunk holds. */
  add(chunk: DuckDBDataChunk, spans: StoredSeries[]): void {
    for (const [, texts, nameOf] of this.#names) {
      let at = this.rows;
      for (const span of spans) {
        texts.fill(nameOf(span), at, at + span.rows);
        at += span.rows;
      }
    }
    const whereOf = (row: number): string => this.#whereOf(row, spans);
    for (const [index, [, builder]] of this.#read.entries())
      builder.add(chunk.getColumnVector(index), this.rows, chunk.rowCount, whereOf);
    this.rows += chunk.rowCount;
  }

  #whereOf(row: number, spans: StoredSeries[]): string {
    let end = 0;
    const { ticker, part } = spans.find(({ rows }) => {
      end += rows;
      return row < end;
    })!;
    return `${ticker} ${seriesLabel(this.#kind, kindOf(this.#kind).part === null ? null : part)}`;
  }

  finish(): ColumnBatch {
    const data = new Map<string, ColumnData>();
    for (const [column, texts] of this.#names) data.set(column, textData(texts, this.rows, null));
    for (const [column, builder] of this.#read) data.set(column, builder.finish(this.rows));
    return { rows: this.rows, columns: new Map(this.#columns.map((column) => [column, data.get(column)!])) };
  }
}

const WORD_ROWS = 32;
const ALL_VALID = 0xffff_ffff;

interface ColumnBuilder {
  /** @param whereOf names a row of the vector, for messages. */
  add(vector: DuckDBVector, at: number, rows: number, whereOf: (row: number) => string): void;
  finish(rows: number): ColumnData;
}

function builderFor(column: string, { stamp, values }: RowKind, rowsMax: number): ColumnBuilder {
  if (column === "seq") return fixed("int64", new BigInt64Array(rowsMax));
  if (column === stamp.name)
    return stamp.type === "date"
      ? fixed("date", new Int32Array(rowsMax))
      : fixed("instant", new BigInt64Array(rowsMax));
  switch (values.find(({ name }) => name === column)?.type) {
    case "double":
      return fixed("double", new Float64Array(rowsMax));
    case "count":
      return new CountBuilder(rowsMax);
    case "date":
      return fixed("date", new Int32Array(rowsMax));
    case "second":
    case "instant":
      return fixed("instant", new BigInt64Array(rowsMax));
    default:
      return new TextBuilder(rowsMax);
  }
}

function fixed<A extends Float64Array | BigInt64Array | Int32Array>(
  type: Exclude<ColumnData["type"], "text">,
  values: A,
): ColumnBuilder {
  const nulls = new NullMask(values.length);
  return {
    add(vector, at, rows) {
      // One type of array is copied into another of the same.
      (values as Float64Array).set(memoryOf<Float64Array>(vector).items.subarray(0, rows), at);
      nulls.add(vector, at, rows);
    },
    finish: (rows) =>
      ({ type, values: exactly(values as Float64Array, rows), nulls: nulls.finish(rows) }) as ColumnData,
  };
}

/** A column of counts has any type of numbers, the same in all chunks: see count-columns.ts. */
class CountBuilder implements ColumnBuilder {
  readonly #nulls: NullMask;
  readonly #rowsMax: number;
  #whole: BigInt64Array | null = null;
  #values: Float64Array | null = null;
  readonly #wide = new Map<number, bigint>();

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
    this.#nulls = new NullMask(rowsMax);
  }

  add(vector: DuckDBVector, at: number, rows: number, whereOf: (row: number) => string): void {
    if (vector instanceof DuckDBBigIntVector) {
      this.#whole ??= new BigInt64Array(this.#rowsMax);
      this.#whole.set(memoryOf<BigInt64Array>(vector).items.subarray(0, rows), at);
      this.#nulls.add(vector, at, rows);
      return;
    }
    this.#values ??= new Float64Array(this.#rowsMax);
    const values = this.#values;
    if (vector instanceof DuckDBDoubleVector) {
      values.set(memoryOf<Float64Array>(vector).items.subarray(0, rows), at);
      this.#nulls.add(vector, at, rows);
      for (let row = at; row < at + rows; row++) {
        if (Number.isFinite(values[row])) continue;
        values[row] = 0;
        this.#nulls.set(row);
      }
      return;
    }
    for (let i = 0; i < rows; i++) {
      const stored = vector.getItem(i);
      const count = stored === null ? null : countOf(String(stored), whereOf(i));
      if (count === null) this.#nulls.set(at + i);
      else if (typeof count === "number") values[at + i] = count;
      else this.#wide.set(at + i, BigInt(count));
    }
  }

  finish(rows: number): ColumnData {
    const nulls = this.#nulls.finish(rows);
    if (this.#whole !== null) return { type: "int64", values: exactly(this.#whole, rows), nulls };
    return countData(exactly(this.#values ?? new Float64Array(rows), rows), this.#wide, nulls);
  }
}

class TextBuilder implements ColumnBuilder {
  readonly #texts: Dictionary;
  readonly #nulls: NullMask;

  constructor(rowsMax: number) {
    this.#texts = new Dictionary(rowsMax);
    this.#nulls = new NullMask(rowsMax);
  }

  add(vector: DuckDBVector, at: number, rows: number): void {
    // For a null, `getItem` takes as long as for a text.
    this.#nulls.add(vector, at, rows);
    for (let row = at; row < at + rows; row++)
      if (!this.#nulls.has(row)) this.#texts.set(row, String(vector.getItem(row - at)));
  }

  finish(rows: number): ColumnData {
    return textData(this.#texts, rows, this.#nulls.finish(rows));
  }
}

class NullMask {
  #mask: Uint8Array | null = null;
  readonly #rowsMax: number;

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
  }

  set(row: number): void {
    this.#made()[row] = 1;
  }

  #made(): Uint8Array {
    this.#mask ??= new Uint8Array(this.#rowsMax);
    return this.#mask;
  }

  has(row: number): boolean {
    return this.#mask !== null && this.#mask[row] === 1;
  }

  add(vector: DuckDBVector, at: number, rows: number): void {
    const bits = validBits(vector);
    if (bits === null) return;
    for (let from = 0; from < rows; from += WORD_ROWS) {
      const word = bits[from / WORD_ROWS]!;
      const to = Math.min(rows, from + WORD_ROWS);
      if (word === ALL_VALID) continue;
      // Most columns have a value in every row or in none.
      if (word === 0) this.#made().fill(1, at + from, at + to);
      else for (let i = from; i < to; i++) if (((word >>> (i & 31)) & 1) === 0) this.set(at + i);
    }
  }

  finish(rows: number): Uint8Array | null {
    return this.#mask === null ? null : exactly(this.#mask, rows);
  }
}

function textData(texts: Dictionary, rows: number, nulls: Uint8Array | null): ColumnData {
  return { ...texts.data, codes: exactly(texts.data.codes, rows), nulls };
}

/** A batch that is kept doesn't keep room for more rows with it. */
function exactly<A extends { length: number; slice(start: number, end: number): A }>(
  values: A,
  rows: number,
): A {
  return values.length === rows ? values : values.slice(0, rows);
}
