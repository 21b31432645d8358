/**
 * How many requests each key has sent in its window of time, or how many rows it has read and
 * written, or bytes it has sent and received, in small files that all workers map: a key has its
 * rate once, however many workers it reaches.
 */
import { join } from "node:path";
import { mapCells } from "../protocol/mapped-cells.ts";

/** More than a file of keys may have; a power of two. */
const ENTRIES = 16_384;
/** The hash of a key, its window, and the count in it. */
const CELLS = 3;
const PROBES_MAX = 64;
/** A count that has come so far stays there: the cells have 31 bits. */
const COUNT_MAX = 2 ** 30;

/** `200/s`: so many in each window, which begins at whole multiples of its length. */
export interface Rate {
  max: number;
  windowMs: number;
}

export interface RateState {
  rate: Rate;
  /** Of this window, with what was added now. */
  count: number;
  /** Until the next window. */
  leftMs: number;
}

export class RateBoard {
  readonly #cells: Int32Array;
  readonly #counts: EntryCounts;

  /** @param file in the server's runtime folder. */
  constructor(runtimeDir: string, file: "rates" | "rows" | "bytes") {
    const path = join(runtimeDir, file);
    this.#cells = mapCells(path, ENTRIES * CELLS);
    // Gigabytes need more bits than a cell has; requests and rows don't, which cost less so.
    this.#counts = file === "bytes" ? new LargeCounts(`${path}-counted`) : new CellCounts(this.#cells);
  }

  /**
   * Counts so many more; 0 only tells the count. Null: there is no room to count it in.
   *
   * @param hash of the key, in hexadecimal digits.
   */
  count(hash: string, rate: Rate, more: number, nowMs = Date.now()): RateState | null {
    const at = this.#entry(hash);
    if (at === null) return null;
    const window = Math.floor(nowMs / rate.windowMs) | 0;
    const before = Atomics.load(this.#cells, at + 1);
    // Of several that find a new window, one empties the count. Who comes late counts in the newer
    // one.
    if (isLater(window, before) && Atomics.compareExchange(this.#cells, at + 1, before, window) === before)
      this.#counts.empty(at);
    const count = this.#counts.add(at, more);
    return { rate, count, leftMs: rate.windowMs - (nowMs % rate.windowMs) };
  }

  #entry(hash: string): number | null {
    // Zero is an entry that nobody has.
    const own = Number.parseInt(hash.slice(0, 8), 16) | 0 || 1;
    let slot = Number.parseInt(hash.slice(8, 16), 16) % ENTRIES;
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const at = slot * CELLS;
      const found = Atomics.compareExchange(this.#cells, at, 0, own);
      if (found === 0 || found === own) return at;
      slot = (slot + 1) % ENTRIES;
    }
    return null;
  }
}

/** The counts of the entries, each told by where its cells begin. */
interface EntryCounts {
  empty(at: number): void;
  /** @returns the count with what was added. */
  add(at: number, more: number): number;
}

/** In the last cell of each entry. */
class CellCounts implements EntryCounts {
  readonly #cells: Int32Array;

  constructor(cells: Int32Array) {
    this.#cells = cells;
  }

  empty(at: number): void {
    Atomics.store(this.#cells, at + 2, 0);
  }

  add(at: number, more: number): number {
    const added = Math.min(more, COUNT_MAX - Math.min(Atomics.load(this.#cells, at + 2), COUNT_MAX));
    return Atomics.add(this.#cells, at + 2, added) + added;
  }
}

/** Of 64 bits, in a file of their own. */
class LargeCounts implements EntryCounts {
  readonly #counts: BigInt64Array;

  constructor(path: string) {
    const { buffer, byteOffset } = mapCells(path, 2 * ENTRIES);
    this.#counts = new BigInt64Array(buffer, byteOffset, ENTRIES);
  }

  empty(at: number): void {
    Atomics.store(this.#counts, at / CELLS, 0n);
  }

  add(at: number, more: number): number {
    return Number(Atomics.add(this.#counts, at / CELLS, BigInt(more))) + more;
  }
}

/** Numbers of windows wrap around. A clock that was set back by more than this begins anew. */
const BACK_MAX = 2;

function isLater(window: number, before: number): boolean {
  const ahead = (window - before) | 0;
  return ahead > 0 || ahead < -BACK_MAX;
}

const WINDOWS_MS: Record<string, number> = { s: 1_000, min: 60_000, h: 3_600_000 };

const FACTORS: Record<string, number> = { "": 1, k: 1_000, M: 1_000_000, G: 1_000_000_000 };
const RATE_MAX = 999_999_999;
const BYTE_RATE_MAX = 1e15;

/** @param text `200/s`, `5k/min`, `1M/h`. @returns null: it is no rate. */
export function readRate(text: string): Rate | null {
  const [, count, factor, unit] = /^(\d{1,9})([kM]?)\/(s|min|h)$/.exec(text) ?? [];
  return rateOf(count, factor, unit, RATE_MAX);
}

/** @param text `500MB/min`, `20k/s`, `5GB/h`; sizes go by 1,000. @returns null: it is none. */
export function readByteRate(text: string): Rate | null {
  const [, count, factor, unit] = /^(\d{1,9})([kMG]?)B?\/(s|min|h)$/.exec(text) ?? [];
  return rateOf(count, factor, unit, BYTE_RATE_MAX);
}

function rateOf(
  count: string | undefined,
  factor: string | undefined,
  unit: string | undefined,
  most: number,
): Rate | null {
  const max = Number(count) * (FACTORS[factor!] ?? Number.NaN);
  return max > 0 && max <= most ? { max, windowMs: WINDOWS_MS[unit!]! } : null;
}
