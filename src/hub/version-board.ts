/**
 * Counters that the hub and all workers map from one file: see ARCHITECTURE.md "Reads: the version
 * board". Only the hub writes. Slot 0 is the epoch, which is part of every version, so that one
 * bump invalidates all.
 */
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { KIND_NAMES, type KindName } from "../storage/model/kinds.ts";

/** Tickers that share a slot only invalidate each other's kept answers. */
const TICKER_SLOTS = 16_384;
const KINDS_COUNT = KIND_NAMES.length;
const INDEX_OF = Object.fromEntries(KIND_NAMES.map((name, index) => [name, index])) as Record<
  KindName,
  number
>;
const SLOTS = 1 + TICKER_SLOTS * KINDS_COUNT;
const HASHED_TICKERS_MAX = 50_000;

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

  bump(ticker: string, kind: KindName): void {
    Atomics.add(this.#slots, this.#slot(ticker, kind), 1);
  }

  bumpAll(): void {
    Atomics.add(this.#slots, 0, 1);
  }

  /** Read before the database is read; an answer is good for as long as the version stays. */
  version(ticker: string, kind: KindName): number {
    return this.#count(this.#slot(ticker, kind)) + this.#epoch();
  }

  /** One number for all kinds of rows of a ticker. */
  versionOfAll(ticker: string): number {
    const first = this.#firstSlot(ticker);
    let sum = this.#epoch();
    for (let slot = first; slot < first + KINDS_COUNT; slot++) sum += this.#count(slot);
    return sum;
  }

  #count(slot: number): number {
    return Atomics.load(this.#slots, slot) >>> 0;
  }

  /**
   * Above the sum of a ticker's counters, of which there may be 16, and within the 53 bits that a
   * double counts by ones: beyond them a bump would get lost.
   */
  #epoch(): number {
    return (this.#count(0) % 2 ** 17) * 2 ** 36;
  }

  #slot(ticker: string, kind: KindName): number {
    return this.#firstSlot(ticker) + INDEX_OF[kind];
  }

  #firstSlot(ticker: string): number {
    let first = this.#slotOfTicker.get(ticker);
    if (first === undefined) {
      if (this.#slotOfTicker.size >= HASHED_TICKERS_MAX) this.#slotOfTicker.clear();
      first = 1 + KINDS_COUNT * Number(Bun.hash(ticker) & BigInt(TICKER_SLOTS - 1));
      this.#slotOfTicker.set(ticker, first);
    }
    return first;
  }
}
