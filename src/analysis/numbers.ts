/**
 * Columns as kernels take them: arrays of doubles, NaN where a row has no value. One form for all
 * keeps each loop short; to bring a column into it costs 1 to 2 ns a row.
 */
import type { ColumnData } from "../storage/model/columns.ts";
import { Int64Reader } from "../storage/model/stamp-text.ts";

const DAY_MICROS = 86_400_000_000;
const TWO_32 = 2 ** 32;

/** What kernels need of a column. */
export interface Numbers {
  /** NaN: there is no value. */
  values: Float64Array;
  /** By row, the whole numbers that no double holds; `values` has the nearest one. Null: none. */
  wide: ReadonlyMap<number, bigint> | null;
}

/** @returns null for a column that isn't there. */
export function numbersOf(data: ColumnData | undefined): Numbers | null {
  if (data === undefined) return null;
  switch (data.type) {
    case "double":
      return { values: withNaN(data.values, data.nulls), wide: null };
    case "date":
      return { values: withNaN(Float64Array.from(data.values), data.nulls), wide: null };
    case "int64":
    case "instant":
      return ofIntegers(data.values, data.nulls);
    case "text":
      return ofDigits(data);
  }
}

/**
 * Microseconds since 1970 of a column of stamps, which has no nulls.
 *
 * @throws RangeError a stamp before 1684 or after 2255: a double holds no microseconds there.
 */
export function microsOf(data: ColumnData): Float64Array {
  if (data.type === "date") return Float64Array.from(data.values, (days) => days * DAY_MICROS);
  if (data.type !== "instant") throw new TypeError(`a column of stamps has the type ${data.type}`);
  const halves = halvesOf(data.values);
  const micros = new Float64Array(data.values.length);
  for (let row = 0; row < micros.length; row++)
    micros[row] = halves[2 * row + 1]! * TWO_32 + (halves[2 * row]! >>> 0);
  for (const row of [0, micros.length - 1]) {
    if (row >= 0 && row < micros.length && !Number.isSafeInteger(micros[row]!))
      throw new RangeError(`the stamp ${data.values[row]} µs is not within the years 1684 to 2255`);
  }
  return micros;
}

/** What stands at a null means nothing, so it may be overwritten. */
function withNaN(values: Float64Array, nulls: Uint8Array | null): Float64Array {
  if (nulls === null) return values;
  for (let row = 0; row < values.length; row++) if (nulls[row] === 1) values[row] = Number.NaN;
  return values;
}

function ofIntegers(integers: BigInt64Array, nulls: Uint8Array | null): Numbers {
  const halves = halvesOf(integers);
  const values = new Float64Array(integers.length);
  let isSafe = true;
  for (let row = 0; row < values.length; row++) {
    const value = halves[2 * row + 1]! * TWO_32 + (halves[2 * row]! >>> 0);
    if (!(value <= Number.MAX_SAFE_INTEGER && value >= -Number.MAX_SAFE_INTEGER)) isSafe = false;
    values[row] = value;
  }
  return { values: withNaN(values, nulls), wide: isSafe ? null : wideOf(integers, nulls) };
}

function wideOf(integers: BigInt64Array, nulls: Uint8Array | null): Map<number, bigint> {
  const reader = new Int64Reader(integers);
  const wide = new Map<number, bigint>();
  for (let row = 0; row < integers.length; row++) {
    if (nulls !== null && nulls[row] === 1) continue;
    if (!Number.isSafeInteger(Number(reader.at(row)))) wide.set(row, integers[row]!);
  }
  return wide;
}

/** Counts of which no other type holds all are texts; each text is read once. */
function ofDigits({ codes, dictionary, nulls }: ColumnData & { type: "text" }): Numbers {
  const numbers = dictionary.map(Number);
  const wideCodes = new Map<number, bigint>();
  for (const [code, text] of dictionary.entries()) {
    if (Number.isInteger(numbers[code]) && !Number.isSafeInteger(numbers[code]) && /^-?\d+$/.test(text))
      wideCodes.set(code, BigInt(text));
  }
  const values = Float64Array.from(codes, (code) => numbers[code] ?? Number.NaN);
  const wide = new Map<number, bigint>();
  for (let row = 0; row < codes.length && wideCodes.size > 0; row++) {
    const whole = wideCodes.get(codes[row]!);
    if (whole !== undefined && nulls?.[row] !== 1) wide.set(row, whole);
  }
  return { values: withNaN(values, nulls), wide: wide.size === 0 ? null : wide };
}

/** The machines that Bun runs on put the low half first. */
function halvesOf(integers: BigInt64Array): Int32Array {
  return new Int32Array(integers.buffer, integers.byteOffset, integers.length * 2);
}
