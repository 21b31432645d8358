/**
 * Ticks of an Arrow body as columns, without a record for each. Only where every column is a plain
 * one of ticks, of the type in which it is stored: all else is read as records.
 */
import { copyInto, vectorsOf, wholeData } from "../formats/arrow-arrays.ts";
import type { ArrowRows } from "../formats/arrow-rows.ts";
import { countData, Int64s } from "../storage/column-values.ts";
import type { ColumnBatch, ColumnData } from "../storage/model/columns.ts";
import { Int64Reader, StampTexts } from "../storage/model/stamp-text.ts";

const VALUE_COLUMNS = ["price", "size", "ask_price", "ask_size"] as const;
type ValueColumn = (typeof VALUE_COLUMNS)[number];
const COUNTS: ReadonlySet<string> = new Set(["size", "ask_size"]);
/** How frames name what a quote has. */
const QUOTE_NAMES: Record<ValueColumn, string> = {
  price: "bid_price",
  size: "bid_size",
  ask_price: "ask_price",
  ask_size: "ask_size",
};

const MICROSECOND = 2;
/** Stamps beyond these are left to what says why they can't be stored. */
const MICROS_MIN = Date.parse("1678-01-01T00:00:00Z") * 1_000;
const MICROS_MAX = Date.parse("2262-01-01T00:00:00Z") * 1_000;
const COUNT_END = 2 ** 63;
/** Characters of a double, or of an integer of 64 bits: -1.7976931348623157e+308. */
const NUMBER_LENGTH_MAX = 24;
const STAMP_MEMBER_LENGTH = '},{"timestamp":"2024-01-02T10:00:00.123456Z"'.length;

/**
 * @param index the column of the stamps, in lower case.
 * @returns null: read the rows as records.
 */
export function tickColumns(arrow: ArrowRows, index: string): ColumnBatch | null {
  try {
    return read(arrow, index);
  } catch {
    // The bytes aren't what the header says. Who reads the records tells it.
    return null;
  }
}

function read(arrow: ArrowRows, index: string): ColumnBatch | null {
  const { rows, names } = arrow;
  const lower = names.map((name) => name.toLowerCase());
  const known = (name: string): boolean => name === index || VALUE_COLUMNS.some((column) => column === name);
  const isWhole = lower.includes(index) && lower.includes("price") && lower.includes("size");
  if (rows === 0 || !isWhole || !lower.every(known)) return null;
  const stamps = stampsOf(arrow, lower.indexOf(index));
  if (stamps === null) return null;
  const columns = new Map<string, ColumnData>([["timestamp", stamps]]);
  for (const name of VALUE_COLUMNS) {
    const at = lower.indexOf(name);
    if (at < 0) continue;
    const data = valuesOf(arrow, at, COUNTS.has(name));
    if (data === null) return null;
    columns.set(name, data);
  }
  columns.set("seq", { type: "int64", values: new BigInt64Array(rows), nulls: allNull(rows) });
  return { rows, columns };
}

/** What subscribers get as the payload of the update, and the first row's stamp. */
export function payloadOf({ rows, columns }: ColumnBatch, type: string): { payload: string; first: string } {
  const stamps = columns.get("timestamp") as ColumnData & { type: "instant" };
  const texts = new StampTexts(stamps.values, true, { before: "", between: "T", after: "Z" });
  const isQuote = type === "quote";
  // A quote has all members. Of other ticks there are those that were sent.
  const told = VALUE_COLUMNS.filter((name) => isQuote || columns.has(name));
  const cells = told.map((name, index) => {
    const shown = isQuote ? QUOTE_NAMES[name] : name;
    return { key: `${index === 0 ? '"' : ""},"${shown}":`, text: cellText(columns.get(name)) };
  });
  const rowBytes = cells.reduce((sum, { key }) => sum + key.length + NUMBER_LENGTH_MAX, STAMP_MEMBER_LENGTH);
  const text = new AsciiText(rows * rowBytes + 1);
  for (let row = 0; row < rows; row++) {
    text.add(row === 0 ? '[{"timestamp":"' : '},{"timestamp":"');
    text.add(texts.at(row));
    for (const { key, text: cell } of cells) {
      text.add(key);
      text.add(cell(row));
    }
  }
  text.add("}]");
  return { payload: text.toString(), first: texts.at(0) };
}

/** A long text of short ones: joined as strings, each would be an object until the end. */
class AsciiText {
  readonly #bytes: Buffer;
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytes = Buffer.allocUnsafe(bytesMax);
  }

  add(text: string): void {
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.#length = at;
  }

  toString(): string {
    return this.#bytes.toString("latin1", 0, this.#length);
  }
}

function cellText(data: ColumnData | undefined): (row: number) => string {
  if (data === undefined) return () => "null";
  const { nulls } = data;
  const isNull = (row: number): boolean => nulls !== null && nulls[row] === 1;
  if (data.type === "double") return (row) => (isNull(row) ? "null" : String(data.values[row]!));
  if (data.type !== "int64") return () => "null";
  const values = new Int64Reader(data.values);
  return (row) => (isNull(row) ? "null" : String(values.at(row)));
}

function allNull(rows: number): Uint8Array {
  return new Uint8Array(rows).fill(1);
}

function stampsOf(arrow: ArrowRows, index: number): ColumnData | null {
  const values = new Int64s(arrow.rows).values;
  let at = 0;
  for (const vector of vectorsOf(arrow, index)) {
    const { unit } = vector.type as { unit?: number };
    const isPlain = arrow.types.isTimestamp(vector.type) && unit === MICROSECOND && vector.nullCount === 0;
    const data = isPlain ? wholeData(vector) : null;
    if (data === null) return null;
    values.set(data as BigInt64Array, at);
    at += data.length;
  }
  const reader = new Int64Reader(values);
  for (let row = 0; row < arrow.rows; row++) {
    const micros = reader.at(row);
    if (micros < MICROS_MIN || micros > MICROS_MAX) return null;
  }
  return { type: "instant", values, nulls: null };
}

function valuesOf(arrow: ArrowRows, index: number, isCount: boolean): ColumnData | null {
  const { types, rows } = arrow;
  const vectors = vectorsOf(arrow, index);
  const { type } = vectors[0]!;
  if (isCount && types.isInt(type) && type.bitWidth === 64 && type.isSigned) {
    const values = new BigInt64Array(rows);
    const nulls = copyInto(vectors, values);
    return nulls === undefined ? null : { type: "int64", values, nulls };
  }
  if (!types.isFloat(type) || type.precision !== 2) return null;
  const values = new Float64Array(rows);
  let nulls = copyInto(vectors, values);
  if (nulls === undefined) return null;
  for (let row = 0; row < rows; row++) {
    const value = values[row]!;
    const isThere = nulls === null || nulls[row] === 0;
    if (isThere && isCount && Math.abs(value) >= COUNT_END && Number.isFinite(value)) return null;
    if (Number.isFinite(value)) continue;
    values[row] = 0;
    // As in JSON, they mean that there is none.
    nulls ??= new Uint8Array(rows);
    nulls[row] = 1;
  }
  return isCount ? countData(values, new Map(), nulls) : { type: "double", values, nulls };
}
