/** Columns of doubles as columns of a batch. */
import { countData, Int64s } from "../storage/column-values.ts";
import type { ColumnData } from "../storage/model/columns.ts";

/** Numbers, null where they aren't finite. The array is taken over. */
export function doubleData(values: Float64Array): ColumnData & { type: "double" } {
  return { type: "double", values, nulls: nullsOf(values) };
}

/** Counts in the type that holds all of them. @param exact by row, those that no double holds. */
export function countsData(values: Float64Array, exact: ReadonlyMap<number, bigint>): ColumnData {
  const nulls = nullsOf(values);
  const known = values.slice();
  for (let row = 0; row < known.length; row++) if (nulls?.[row] === 1 || exact.has(row)) known[row] = 0;
  return countData(known, exact, nulls);
}

/** Microseconds since 1970, null where they are NaN. */
export function instantData(micros: Float64Array): ColumnData & { type: "instant" } {
  const nulls = nullsOf(micros);
  const whole = new Int64s(micros.length);
  for (let row = 0; row < micros.length; row++) if (nulls?.[row] !== 1) whole.set(row, micros[row]!);
  return { type: "instant", values: whole.values, nulls };
}

function nullsOf(values: Float64Array): Uint8Array | null {
  let nulls: Uint8Array | null = null;
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    if (value - value === 0) continue;
    nulls ??= new Uint8Array(values.length);
    nulls[row] = 1;
  }
  return nulls;
}
