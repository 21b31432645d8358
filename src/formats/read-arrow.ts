/** An Arrow body as columns: arrays are taken over, and only nested values are read one by one. */
import type { Vector } from "apache-arrow";
import { Dictionary } from "../storage/column-values.ts";
import type { ColumnData } from "../storage/model/columns.ts";
import { turn } from "../time/pauses.ts";
import { copyInto, vectorsOf } from "./arrow-arrays.ts";
import { ArrowError } from "./arrow-error.ts";
import { type ArrowRows, boundedTexts, readArrow, type Spend, unreadable, valuesOf } from "./arrow-rows.ts";
import { microsOfStamps, STAMP_UNITS } from "./read-stamps.ts";
import { ROWS_OF_TURN, type SentCells, type SentTable, SentTableError } from "./sent-table.ts";

/** @throws SentTableError */
export async function readArrowTable(bytes: Uint8Array<ArrayBuffer>): Promise<SentTable> {
  try {
    const arrow = await readArrow(bytes);
    const spend = boundedTexts();
    const columns = [];
    for (const [index, name] of arrow.names.entries()) {
      columns.push({ name, cells: await cellsOf(arrow, index, spend) });
      await turn();
    }
    return { rows: arrow.rows, columns, tickerOf: null, placeOf: () => "" };
  } catch (error) {
    if (error instanceof SentTableError) throw error;
    // What the header says isn't what the bytes are.
    const told = error instanceof ArrowError ? error : unreadable(error);
    throw new SentTableError(told.message, { cause: error });
  }
}

async function cellsOf(arrow: ArrowRows, index: number, spend: Spend): Promise<SentCells> {
  const { types, rows } = arrow;
  const vectors = vectorsOf(arrow, index);
  const type = vectors[0]?.type;
  if (type === undefined) return { form: "values", at: () => null };
  if (types.isFloat(type) && type.precision === 2) {
    const values = new Float64Array(rows);
    const nulls = copyInto(vectors, values);
    if (nulls !== undefined) return { form: "data", data: { type: "double", values, nulls } };
  }
  const isStamp = types.isTimestamp(type);
  if (isStamp || (types.isInt(type) && type.bitWidth === 64 && type.isSigned)) {
    const values = new BigInt64Array(rows);
    const nulls = copyInto(vectors, values);
    if (nulls !== undefined && !isStamp) return { form: "data", data: { type: "int64", values, nulls } };
    if (nulls !== undefined) {
      const { unit, timezone } = type as unknown as { unit: number; timezone?: string | null };
      const zone = timezone === undefined || timezone === "" ? null : timezone;
      const data = { type: "instant", values: microsOfStamps(values, STAMP_UNITS[unit]!), nulls } as const;
      return { form: "data", data, stamps: { areWallClocks: zone === null, zone } };
    }
  }
  if (types.isUtf8(type) || types.isLargeUtf8(type) || types.isDictionary(type))
    return { form: "data", data: await textsOf(vectors, rows, spend) };
  return valuesOfAll(arrow, vectors, spend);
}

/** Each text once. */
async function textsOf(vectors: readonly Vector[], rows: number, spend: Spend): Promise<ColumnData> {
  const texts = new Dictionary(rows);
  let nulls: Uint8Array | null = null;
  let at = 0;
  for (const vector of vectors) {
    for (let row = 0; row < vector.length; row++) {
      const value: unknown = vector.get(row);
      if (typeof value === "string") texts.set(at + row, spend(value));
      else if (value === null) {
        nulls ??= new Uint8Array(rows);
        nulls[at + row] = 1;
      } else throw new ArrowError("got a dictionary whose values aren't texts, expected texts");
      if (row % ROWS_OF_TURN === ROWS_OF_TURN - 1) await turn();
    }
    at += vector.length;
  }
  return { ...texts.data, nulls };
}

function valuesOfAll({ types }: ArrowRows, vectors: readonly Vector[], spend: Spend): SentCells {
  const starts: number[] = [];
  let rows = 0;
  const cells = vectors.map((vector) => {
    starts.push(rows);
    rows += vector.length;
    return valuesOf(vector, types, spend);
  });
  let batch = 0;
  return {
    form: "values",
    at(row) {
      if (row < starts[batch]!) batch = 0;
      while (batch + 1 < starts.length && row >= starts[batch + 1]!) batch++;
      return cells[batch]!(row - starts[batch]!);
    },
  };
}
