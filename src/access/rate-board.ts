/**
 * How many requests each key has sent in its window of time, in a small file that all workers map:
 * a key has its rate once, however many workers it reaches.
 */
import { join } from "node:path";
import { mapCells } from "../protocol/mapped-cells.ts";

const RATE_FILE = "rates";
/** More than a file of keys may have; a power of two. */
const ENTRIES = 16_384;
/** The hash of a key, its window, and the requests in it. */
const CELLS = 3;
const PROBES_MAX = 64;

/** `200/s`: so many in each window, which begins at whole multiples of its length. */
export interface Rate {
  max: number;
  windowMs: number;
}

/** Of one request. */
export interface RateState {
  rate: Rate;
  /** How many of this window it is, from 1. */
  count: number;
  /** Until the next window. */
  leftMs: number;
}

export class RateBoard {
  readonly #cells: Int32Array;

  /** @param runtimeDir the server's; null for a process that shares with none. */
  constructor(runtimeDir: string | null) {
    this.#cells =
      runtimeDir === null
        ? new Int32Array(ENTRIES * CELLS)
        : mapCells(join(runtimeDir, RATE_FILE), ENTRIES * CELLS);
  }

  /**
   * Counts one more. Null: there is no room to count it in.
   *
   * @param hash of the key, in hexadecimal digits.
   */
  count(hash: string, rate: Rate, nowMs = Date.now()): RateState | null {
    const at = this.#entry(hash);
    if (at === null) return null;
    const window = Math.floor(nowMs / rate.windowMs) | 0;
    const before = Atomics.load(this.#cells, at + 1);
    // Of several that find a new window, one empties the count.
    if (before !== window && Atomics.compareExchange(this.#cells, at + 1, before, window) === before)
      Atomics.store(this.#cells, at + 2, 0);
    const count = Atomics.add(this.#cells, at + 2, 1) + 1;
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

const WINDOWS_MS: Record<string, number> = { s: 1_000, min: 60_000, h: 3_600_000 };

/** @param text `200/s`, `5000/min`, `100000/h`. @returns null: it is no rate. */
export function readRate(text: string): Rate | null {
  const [, count, unit] = /^(\d{1,9})\/(s|min|h)$/.exec(text) ?? [];
  const max = Number(count);
  return max > 0 ? { max, windowMs: WINDOWS_MS[unit!]! } : null;
}
