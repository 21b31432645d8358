/**
 * Counters that the hub and all workers map from one file: see ARCHITECTURE.md "Reads: the version
 * board". Only the hub writes. Slot 0 is the epoch, which is part of every version, so that one
 * bump invalidates all.
 */
import { closeSync, ftruncateSync, openSync } from "node:fs";

/** Tickers that share a slot only invalidate each other's kept answers. */
const TICKER_SLOTS = 16_384;
const TABLES = { daily: 0, hourly: 1, ticks: 2 } as const;
const SLOTS = 1 + TICKER_SLOTS * 3;
const HASHED_TICKERS_MAX = 50_000;

export type BoardTable = keyof typeof TABLES;

export function createBoardFile(path: string): void {
  const fd = openSync(path, "w", 0o600);
  ftruncateSync(fd, SLOTS * 4);
  closeSync(fd);
}

export class VersionBoard {
  readonly #slots: Int32Array;
  readonly #slotOfTicker = new Map<string, number>();

  constructor(path: string) {
    const bytes = Bun.mmap(path, { shared: true });
    this.#slots = new Int32Array(bytes.buffer, bytes.byteOffset, SLOTS);
  }

  bump(ticker: string, table: BoardTable): void {
    Atomics.add(this.#slots, this.#slot(ticker, table), 1);
  }

  bumpAll(): void {
    Atomics.add(this.#slots, 0, 1);
  }

  /** Read it before the database; the answer is valid while the version stays. */
  version(ticker: string, table: BoardTable): number {
    return this.#count(this.#slot(ticker, table)) + this.#epoch();
  }

  /** One number for all tables of a ticker. */
  versionOfAll(ticker: string): number {
    const slot = this.#slot(ticker, "daily");
    return this.#count(slot) + this.#count(slot + 1) + this.#count(slot + 2) + this.#epoch();
  }

  #count(slot: number): number {
    return Atomics.load(this.#slots, slot) >>> 0;
  }

  /** Above the sum of three counters, and within the 53 bits of a double: no bump gets lost. */
  #epoch(): number {
    return (this.#count(0) % 2 ** 19) * 2 ** 34;
  }

  #slot(ticker: string, table: BoardTable): number {
    let first = this.#slotOfTicker.get(ticker);
    if (first === undefined) {
      if (this.#slotOfTicker.size >= HASHED_TICKERS_MAX) this.#slotOfTicker.clear();
      first = 1 + 3 * Number(Bun.hash(ticker) & BigInt(TICKER_SLOTS - 1));
      this.#slotOfTicker.set(ticker, first);
    }
    return first + TABLES[table];
  }
}
