/** Columns of an Arrow body as arrays, where their values lie side by side. */
import type { Vector } from "apache-arrow";
import type { ArrowRows } from "./arrow-rows.ts";

/** @returns where no value is; undefined: the columns aren't plain. */
export function copyInto(
  vectors: readonly Vector[],
  into: Float64Array | BigInt64Array,
): Uint8Array | null | undefined {
  let nulls: Uint8Array | null = null;
  let at = 0;
  for (const vector of vectors) {
    const data = wholeData(vector);
    if (data === null) return undefined;
    (into as Float64Array).set(data as Float64Array, at);
    for (let row = 0; vector.nullCount > 0 && row < vector.length; row++) {
      if (vector.isValid(row)) continue;
      nulls ??= new Uint8Array(into.length);
      nulls[at + row] = 1;
    }
    at += data.length;
  }
  return nulls;
}

export function vectorsOf({ batches }: ArrowRows, index: number): Vector[] {
  return batches.map((batch) => batch.getChildAt(index)!);
}

/** Null: its bytes aren't all there, or it is in pieces. */
export function wholeData({ data: [data, ...others], length }: Vector): Float64Array | BigInt64Array | null {
  if (data === undefined || others.length > 0) return null;
  const bitmap: Uint8Array | undefined = data.nullBitmap;
  const lacksBits = bitmap !== undefined && bitmap.length > 0 && bitmap.length * 8 < data.offset + length;
  const values = (data.values as Float64Array | BigInt64Array).subarray(0, length);
  return lacksBits || values.length < length ? null : values;
}
