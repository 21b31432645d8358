/** Batches as an engine gives them, with the columns of an answer. */
import type { FormatColumn } from "../formats/format-columns.ts";
import { dateStarts } from "../market/date-starts.ts";
import { Int64s } from "../storage/column-values.ts";
import type { ColumnBatch, ColumnData } from "../storage/model/columns.ts";
import type { KindName } from "../storage/model/kinds.ts";
import { columnNamed, type MarketColumn, type MarketTable, storedName } from "./answer-columns.ts";
import { ExtraMembers } from "./extra-members.ts";

export interface AnswerShape {
  table: MarketTable;
  kind: KindName;
  /** Names of the answer's columns. */
  columns: readonly string[];
  zone: string;
}

/** Makes batches of an answer out of those of a kind. */
export class AnswerBatches {
  readonly columns: FormatColumn[];
  /** What the engine is asked for. */
  readonly stored: string[];
  readonly #kind: KindName;
  readonly #columns: MarketColumn[];
  readonly #startOf: (days: number) => number;

  constructor({ table, kind, columns, zone }: AnswerShape) {
    this.#kind = kind;
    this.#columns = columns.map((name) => columnNamed(table, name)!);
    this.columns = this.#columns.map(({ name, type }): FormatColumn => {
      const isStamp = type === "second" || type === "instant";
      return isStamp && zone !== "UTC" ? { name, type, zone } : { name, type };
    });
    const names = this.#columns.flatMap((column) => {
      const own = storedName(column, kind);
      return [...(own === null ? [] : [own]), ...(column.extra === undefined ? [] : ["extra"])];
    });
    this.stored = [...new Set(names)];
    this.#startOf = dateStarts(zone);
  }

  of({ rows, columns }: ColumnBatch): ColumnBatch {
    const extra = columns.get("extra");
    const members = extra?.type === "text" ? new ExtraMembers(extra) : null;
    return {
      rows,
      columns: new Map(
        this.#columns.map((column) => {
          const own = storedName(column, this.#kind);
          const stored = own === null || (own === "extra" && column.extra) ? undefined : columns.get(own);
          const data = stored ?? members?.column(column, rows) ?? noValues(column, rows);
          return [column.name, data.type === "date" && column.type !== "date" ? this.#instants(data) : data];
        }),
      ),
    };
  }

  /** A day as the moment at which it begins in the zone. */
  #instants({ values, nulls }: ColumnData & { type: "date" }): ColumnData {
    // A BigInt for each day takes five times as long.
    const micros = new Int64s(values.length);
    for (let row = 0; row < values.length; row++) {
      const ms = this.#startOf(values[row]!);
      if (Number.isSafeInteger(ms * 1_000)) micros.set(row, ms * 1_000);
      // Far from 1970.
      else micros.values[row] = BigInt(ms) * 1_000n;
    }
    return { type: "instant", values: micros.values, nulls };
  }
}

function noValues({ type }: MarketColumn, rows: number): ColumnData {
  const nulls = new Uint8Array(rows).fill(1);
  if (type === "double") return { type, values: new Float64Array(rows), nulls };
  if (type === "int64") return { type, values: new BigInt64Array(rows), nulls };
  return { type: "text", codes: new Int32Array(rows), dictionary: [""], nulls };
}

/** Some of the rows of a batch. @param end exclusive. */
export function sliceBatch({ rows, columns }: ColumnBatch, start: number, end: number): ColumnBatch {
  if (start === 0 && end >= rows) return { rows, columns };
  const cut = [...columns].map(([name, data]): [string, ColumnData] => [name, sliceColumn(data, start, end)]);
  return { rows: Math.min(end, rows) - start, columns: new Map(cut) };
}

function sliceColumn(data: ColumnData, start: number, end: number): ColumnData {
  const nulls = data.nulls?.subarray(start, end) ?? null;
  if (data.type === "text") return { ...data, codes: data.codes.subarray(start, end), nulls };
  return { ...data, values: data.values.subarray(start, end), nulls } as ColumnData;
}
