/**
 * Which series each row of a chunk is of, by the names that stand in it. DuckDB could join the rows
 * with a list of the series, but a join loses the order in which they are stored.
 */
import type { DuckDBDataChunk, DuckDBVector } from "@duckdb/node-api";
import type { StoredSeries } from "./column-batch.ts";
import { stringsOf, WORDS } from "./vectors.ts";

export interface NameColumns {
  /** Where a chunk has them; null: they are the same in all rows of the run. */
  ticker: number | null;
  part: number | null;
}

export class SeriesPlaces {
  readonly #columns: NameColumns;
  readonly #tickers: NameCodes;
  readonly #parts: NameCodes;
  /** By the codes of both names. */
  readonly #places = new Map<number, number>();
  #found = new Int32Array(0);

  /** @param run whose rows are looked up, each series by its place there. */
  constructor(run: StoredSeries[], columns: NameColumns) {
    this.#columns = columns;
    this.#tickers = new NameCodes(run.map(({ ticker }) => ticker));
    this.#parts = new NameCodes(run.map(({ part }) => part));
    for (const [place, { ticker, part }] of run.entries())
      this.#places.set(this.#keyOf(this.#tickers.of(ticker), this.#parts.of(part)), place);
  }

  /** @returns an array that is used again for the next chunk. */
  of(chunk: DuckDBDataChunk): Int32Array {
    const { rowCount } = chunk;
    const { ticker, part } = this.#columns;
    if (this.#found.length < rowCount) this.#found = new Int32Array(rowCount);
    const found = this.#found;
    const tickers = ticker === null ? null : this.#tickers.read(chunk.getColumnVector(ticker), rowCount);
    const parts = part === null ? null : this.#parts.read(chunk.getColumnVector(part), rowCount);
    let known = -1;
    let place = 0;
    for (let row = 0; row < rowCount; row++) {
      const key = this.#keyOf(tickers?.[row] ?? 0, parts?.[row] ?? 0);
      if (key !== known) {
        known = key;
        const at = this.#places.get(key);
        if (at === undefined) throw new Error("DuckDB returned a row of a series that it hadn't counted");
        place = at;
      }
      found[row] = place;
    }
    return found;
  }

  #keyOf(ticker: number, part: number): number {
    return ticker * this.#parts.size + part;
  }
}

/** Names by number. Those of up to 12 bytes are told by these, without a string for each row. */
class NameCodes {
  readonly #codes = new Map<string, number>();
  /** A hash table: the words of a name, and its code. Empty where the code is -1. */
  readonly #words: Int32Array;
  readonly #codeAt: Int32Array;
  readonly #mask: number;
  #found = new Int32Array(0);

  constructor(names: string[]) {
    for (const name of names) if (!this.#codes.has(name)) this.#codes.set(name, this.#codes.size);
    let size = 16;
    while (size < 2 * this.#codes.size) size *= 2;
    this.#mask = size - 1;
    this.#words = new Int32Array(WORDS * size);
    this.#codeAt = new Int32Array(size).fill(-1);
  }

  get size(): number {
    return this.#codes.size;
  }

  /** @throws Error it isn't among them. */
  of(name: string): number {
    const code = this.#codes.get(name);
    if (code === undefined) throw new Error("DuckDB returned a name that it hadn't counted");
    return code;
  }

  /** @returns an array that is used again. */
  read(vector: DuckDBVector, rows: number): Int32Array {
    if (this.#found.length < rows) this.#found = new Int32Array(rows);
    const found = this.#found;
    const strings = stringsOf(vector);
    /** By their addresses, which hold as long as the chunk does. */
    const long = new Map<number, number>();
    for (let row = 0; row < rows; row++) {
      const at = WORDS * row;
      if (row > 0 && isSame(strings.words, at, strings.words, at - WORDS)) found[row] = found[row - 1]!;
      else if (strings.isInline(row)) found[row] = this.#inline(strings.words, at, () => strings.text(row));
      else {
        const address = strings.address(row);
        const code = long.get(address) ?? this.of(strings.text(row));
        long.set(address, code);
        found[row] = code;
      }
    }
    return found;
  }

  #inline(words: Int32Array, at: number, textOf: () => string): number {
    let hash = words[at]!;
    for (let word = 1; word < WORDS; word++)
      hash = Math.imul(hash ^ words[at + word]!, 0x9e37_79b1) ^ (hash >>> 15);
    for (let slot = (hash ^ (hash >>> 16)) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const known = this.#codeAt[slot]!;
      if (known === -1) {
        const code = this.of(textOf());
        this.#codeAt[slot] = code;
        this.#words.set(words.subarray(at, at + WORDS), WORDS * slot);
        return code;
      }
      if (isSame(this.#words, WORDS * slot, words, at)) return known;
    }
  }
}

function isSame(a: Int32Array, at: number, b: Int32Array, bt: number): boolean {
  return a[at] === b[bt] && a[at + 1] === b[bt + 1] && a[at + 2] === b[bt + 2] && a[at + 3] === b[bt + 3];
}
