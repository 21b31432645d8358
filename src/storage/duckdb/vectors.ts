/**
 * The memory of DuckDB's vectors as typed arrays, which its types keep private: to take values one
 * by one makes a BigInt or an object of each.
 */
import type { DuckDBVector } from "@duckdb/node-api";

interface Memory<A> {
  /** What stands at a null means nothing. */
  items: A;
  validity: {
    data: BigUint64Array | null;
    offset: number;
    setItemValid(index: number, valid: boolean): void;
  };
}

export type Items = Float64Array | BigInt64Array | Int32Array;

/** @param vector of a type with a fixed width, for which A is the array. */
export function memoryOf<A extends Items>(vector: DuckDBVector): Memory<A> {
  return vector as unknown as Memory<A>;
}

/** Of 32 bits: a text's length, then its bytes up to 12, or the first 4 and the address of all. */
export const WORDS = 4;
const INLINE_BYTES_MAX = 12;
const TWO_32 = 2 ** 32;

interface Strings {
  words: Int32Array;
  /** Its words are all of it. */
  isInline(row: number): boolean;
  /** Of one that isn't inline. */
  address(row: number): number;
  text(row: number): string;
}

/** @param vector of VARCHAR, without nulls. */
export function stringsOf(vector: DuckDBVector): Strings {
  const { buffer, byteOffset, byteLength } = (vector as unknown as { dataView: DataView }).dataView;
  const words = new Int32Array(buffer, byteOffset, byteLength / Int32Array.BYTES_PER_ELEMENT);
  return {
    words,
    isInline: (row) => words[WORDS * row]! <= INLINE_BYTES_MAX,
    address: (row) => (words[WORDS * row + 2]! >>> 0) + words[WORDS * row + 3]! * TWO_32,
    text: (row) => String(vector.getItem(row)),
  };
}

/** 32 rows to a word, 1 where there is a value; null: every row has one. */
export function validBits(vector: DuckDBVector): Uint32Array | null {
  const { data, offset } = (vector as unknown as Memory<Items>).validity;
  if (data === null) return null;
  if (offset !== 0) throw new Error("a slice of a vector is not looked at");
  return new Uint32Array(data.buffer, data.byteOffset, data.length * 2);
}

/** @param nulls 1 where there is no value. */
export function copyInto(vector: DuckDBVector, values: Items, nulls: Uint8Array | null): void {
  const { items, validity } = memoryOf<Float64Array>(vector);
  // One type of array is copied into another of the same.
  items.set(values as Float64Array);
  if (nulls === null) {
    validity.data = null;
    return;
  }
  const bits = new Uint32Array(Math.ceil(nulls.length / 64) * 2);
  for (let i = 0; i < nulls.length; i++) if (nulls[i] !== 1) bits[i >>> 5]! |= 1 << (i & 31);
  validity.data = new BigUint64Array(bits.buffer);
}
