/** Columns of a body as those that are stored: each value is read once, and a wrong one named. */
import { ROWS_OF_TURN, type WireColumn } from "../../formats/sent-table.ts";
import { badRequest } from "../../protocol/errors.ts";
import { countData, Dictionary, Int64s } from "../../storage/column-values.ts";
import type { ColumnData } from "../../storage/model/columns.ts";
import { Int64Reader, StampTexts } from "../../storage/model/stamp-text.ts";
import { turn } from "../../time/pauses.ts";
import { show } from "../params.ts";
import { readCount, readId, readReal } from "../records.ts";

/** Doubles hold every integer of 15 digits. */
const LONG_INTEGER = /^[+-]?\d{16,19}$/;
const PLAIN_NUMBER = /^-?\d{1,15}(?:\.\d{1,15})?$/;
const PLAIN_INTEGER = /^-?\d{1,15}$/;

export interface ReadPlace {
  rows: number;
  /** For an error: `row 3 (line 4)`. */
  placeOf(row: number): string;
}

/** Calls for each row, in turns of the event loop. */
export async function eachRow(rows: number, read: (row: number) => void): Promise<void> {
  for (let from = 0; from < rows; from += ROWS_OF_TURN) {
    if (from > 0) await turn();
    const to = Math.min(rows, from + ROWS_OF_TURN);
    for (let row = from; row < to; row++) read(row);
  }
}

/** What a cell is as JSON would bring it; of a text file a text. */
export function valueReader({ cells }: WireColumn): (row: number) => unknown {
  if (cells.form !== "data") return cells.at;
  const { data } = cells;
  const read = dataReader(data);
  const { nulls } = data;
  return nulls === null ? read : (row) => (nulls[row] === 1 ? null : read(row));
}

function dataReader(data: ColumnData): (row: number) => unknown {
  switch (data.type) {
    case "int64": {
      const reader = new Int64Reader(data.values);
      return (row) => reader.at(row);
    }
    case "instant": {
      const texts = new StampTexts(data.values, true, { before: "", between: "T", after: "Z" });
      return (row) => texts.at(row);
    }
    case "text":
      return (row) => data.dictionary[data.codes[row]!]!;
    default:
      return (row) => data.values[row]!;
  }
}

/** @throws RequestError 400 */
export async function readDoubles(column: WireColumn, place: ReadPlace): Promise<ColumnData> {
  const { rows, placeOf } = place;
  const values = new Float64Array(rows);
  const nulls = new Nulls(rows);
  const at = valueReader(column);
  await eachRow(rows, (row) => {
    const value = at(row);
    if (value === null || value === undefined) return nulls.add(row);
    if (typeof value === "string" && PLAIN_NUMBER.test(value)) {
      values[row] = Number(value);
      return;
    }
    refuseInfinite(value, column, row, place);
    const isNumber = typeof value === "number" && !Number.isNaN(value);
    const number = isNumber ? value : readReal(value, column.name, placeOf(row));
    if (number === null) nulls.add(row);
    else values[row] = number;
  });
  return { type: "double", values, nulls: nulls.found };
}

/** NaN is a missing number in Python; an infinite one isn't. @throws RequestError 400 */
function refuseInfinite(value: unknown, column: WireColumn, row: number, place: ReadPlace): void {
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY)
    throw wrong(column, row, place, "a number or null");
}

/** @throws RequestError 400 */
export async function readCounts(column: WireColumn, place: ReadPlace): Promise<ColumnData> {
  const { rows, placeOf } = place;
  const { cells } = column;
  if (cells.form === "data" && cells.data.type === "int64") return cells.data;
  const values = new Float64Array(rows);
  const wide = new Map<number, bigint>();
  const nulls = new Nulls(rows);
  const at = valueReader(column);
  await eachRow(rows, (row) => {
    const value = at(row);
    if (value === null || value === undefined) return nulls.add(row);
    if (typeof value === "string" ? PLAIN_INTEGER.test(value) : Number.isSafeInteger(value)) {
      values[row] = Number(value);
      return;
    }
    refuseInfinite(value, column, row, place);
    const exact = typeof value === "string" && LONG_INTEGER.test(value) ? BigInt(value) : value;
    const count = readCount(exact, column.name, placeOf(row));
    if (count === null) nulls.add(row);
    else if (typeof count === "number") values[row] = count;
    else wide.set(row, BigInt(count));
  });
  return countData(values, wide, nulls.found);
}

/** Texts of the tick's own identity. @throws RequestError 400 */
export async function readIds(column: WireColumn, place: ReadPlace): Promise<ColumnData> {
  return readTexts(column, place, (value, at) => readId(value, column.name, at));
}

/** Whole numbers from 0. @throws RequestError 400 */
export async function readSeqs(column: WireColumn, place: ReadPlace): Promise<ColumnData> {
  const counts = await readCounts(column, place);
  const { nulls } = counts;
  const values = new Int64s(place.rows);
  await eachRow(place.rows, (row) => {
    if (nulls?.[row] === 1) return;
    const seq = counts.type === "int64" ? Number(counts.values[row]) : Number.NaN;
    if (!(seq >= 0 && seq < 2 ** 31)) throw wrong(column, row, place, "a whole number from 0");
    values.set(row, seq);
  });
  return { type: "int64", values: values.values, nulls };
}

/** Each text once. @param read of a value; null: there is none. @throws RequestError 400 */
async function readTexts(
  column: WireColumn,
  { rows, placeOf }: ReadPlace,
  read: (value: unknown, place: string, row: number) => string | null,
): Promise<ColumnData> {
  const texts = new Dictionary(rows);
  const nulls = new Nulls(rows);
  const at = valueReader(column);
  let last: unknown;
  let lastText: string | null = null;
  await eachRow(rows, (row) => {
    const value = at(row);
    if (row === 0 || value !== last) {
      lastText = read(value, placeOf(row), row);
      last = value;
    }
    if (lastText === null) nulls.add(row);
    else texts.set(row, lastText);
  });
  return { ...texts.data, nulls: nulls.found };
}

export class Nulls {
  readonly #rows: number;
  found: Uint8Array | null = null;

  constructor(rows: number) {
    this.#rows = rows;
  }

  add(row: number): void {
    this.found ??= new Uint8Array(this.#rows);
    this.found[row] = 1;
  }
}

export function wrong(column: WireColumn, row: number, { placeOf }: ReadPlace, expected: string): Error {
  const value = valueReader(column)(row);
  // JSON has no infinite number.
  const shown = typeof value === "number" ? String(value) : show(value);
  return badRequest(`${placeOf(row)}.${column.name}: got ${shown}, expected ${expected}`);
}
