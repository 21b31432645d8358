/**
 * Updates that wait for a slow client, bounded. At the bound the client's policy decides: `add`
 * asks for a disconnect, folds updates, or drops them and reports a gap.
 */
import { editOfType } from "../protocol/frames.ts";
import type { Update } from "../storage/update-contract.ts";
import type { SlowPolicy } from "./live-request.ts";

interface Waiting {
  ticker: string;
  type: string;
  /** The positions from `from` to `position`, of which all but the last were folded or dropped. */
  from: number;
  position: number;
  /** Null for a gap. */
  text: string | null;
  /** Updates that were folded into this one. */
  folded: number;
  /** By `performance.now()`: since when it waits. */
  sinceMs: number;
}

/** Plain sums, raised by all clients of a worker. */
export interface LeftOutCounts {
  updatesFolded: number;
  slowGaps: number;
}

/** The frame of a gap of the reason `slow`. */
type GapText = (ticker: string, range: { from: number; to: number }) => string;

/** One frame counts for at most this part of the bound, so that some large ones always fit. */
const FRAME_PARTS = 16;

export class WaitingUpdates {
  readonly #policy: SlowPolicy;
  readonly #maxBytes: number;
  readonly #gapText: GapText;
  readonly #counts: LeftOutCounts;
  /** Sorted by sending order; keyed by ticker and type if updates are folded. */
  #waiting = new Map<string | number, Waiting>();
  #bytes = 0;
  #updates = 0;
  #folded = 0;
  #hasTakenUpdate = false;
  #gapsTold = 0;
  #nextKey = 0;
  /** The newest entry of each ticker, if that is a gap that can still grow. */
  readonly #gaps = new Map<string, Waiting>();
  /** The newest position taken of each ticker, while something waits. `from` may lie before it. */
  readonly #taken = new Map<string, number>();

  constructor(
    policy: SlowPolicy,
    maxBytes: number,
    { gapText, counts }: { gapText: GapText; counts: LeftOutCounts },
  ) {
    this.#policy = policy;
    this.#maxBytes = maxBytes;
    this.#gapText = gapText;
    this.#counts = counts;
  }

  get size(): number {
    return this.#waiting.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Updates that wait, with those that were folded, or dropped for a gap that waits. */
  get updates(): number {
    return this.#updates;
  }

  /** Of this client, from its first moment on. */
  get folded(): number {
    return this.#folded;
  }

  get gaps(): number {
    return this.#gapsTold;
  }

  /** By `performance.now()`: since when the next one waits; null: none does. */
  get nextSinceMs(): number | null {
    for (const { sinceMs } of this.#waiting.values()) return sinceMs;
    return null;
  }

  /** @returns false when the client has to be disconnected. */
  add(ticker: string, update: Update, text: string): boolean {
    const { type, position } = update;
    if (this.#policy === "conflate") return this.#fold(ticker, type, position, text);
    const fits = this.#bytes + this.#cost(text) <= this.#maxBytes;
    if (!fits && this.#policy === "disconnect") return false;
    const gap = this.#gaps.get(ticker);
    // After a gap, updates wait again only once the queue was emptied; else every update would have
    // a gap before it.
    if (fits && gap === undefined) {
      this.#put(this.#nextKey++, { ...one(ticker, position, text), type });
      return true;
    }
    if (gap === undefined) {
      const fresh = one(ticker, position, null);
      this.#gaps.set(ticker, fresh);
      this.#put(this.#nextKey++, fresh);
      this.#gapsTold++;
      this.#counts.slowGaps++;
    } else this.#grow(gap, position);
    return true;
  }

  /** Tells lost positions, whatever the policy. */
  addGap(ticker: string, from: number, to: number, text: string): void {
    const gap = this.#gaps.get(ticker);
    if (gap !== undefined) this.#grow(gap, to);
    else this.#put(this.#nextKey++, { ...one(ticker, to, text), from });
  }

  /** Follows `addGap`. A gap of dropped updates includes it. */
  addSnapshot(ticker: string, position: number, text: string): void {
    if (this.#gaps.has(ticker)) return;
    const key = JSON.stringify([ticker]);
    const before = this.#waiting.get(key);
    if (before !== undefined) this.#remove(key, before);
    // The ticker's next update comes after the snapshot's position.
    this.#put(key, { ...one(ticker, position, text), from: position + 1 });
  }

  dropTicker(ticker: string): void {
    this.#drop((entry) => entry.ticker === ticker);
    this.#gaps.delete(ticker);
    this.#taken.delete(ticker);
  }

  /**
   * Drops types that the subscription no longer wants. Gaps stay, as their types are unknown.
   *
   * @param ticker null: all tickers.
   */
  dropTypes(ticker: string | null, stays: (type: string) => boolean): void {
    this.#drop(
      (entry) => (ticker === null || entry.ticker === ticker) && entry.type !== "" && !stays(entry.type),
    );
  }

  /**
   * The position after the ticker's newest one that was sent; undefined if nothing of it waits.
   * Earlier ones were sent, or are folded into waiting ones.
   */
  firstOf(ticker: string): number | undefined {
    let first: number | undefined;
    for (const entry of this.#waiting.values())
      if (entry.ticker === ticker) first = Math.min(first ?? entry.from, entry.from);
    return first === undefined ? undefined : Math.max(first, (this.#taken.get(ticker) ?? 0) + 1);
  }

  #drop(isVoid: (entry: Waiting) => boolean): void {
    for (const [key, entry] of this.#waiting) {
      if (isVoid(entry)) this.#remove(key, entry);
    }
  }

  /** Whether what was taken last is an update, and no gap or snapshot. */
  get hasTakenUpdate(): boolean {
    return this.#hasTakenUpdate;
  }

  /** The next frame to send; undefined when none waits. */
  take(): string | undefined {
    for (const [key, entry] of this.#waiting) {
      this.#hasTakenUpdate = entry.type !== "";
      this.#remove(key, entry);
      if (this.#waiting.size === 0) this.#taken.clear();
      else this.#taken.set(entry.ticker, entry.position);
      if (entry.text === null) {
        this.#gaps.delete(entry.ticker);
        return this.#gapText(entry.ticker, { from: entry.from, to: entry.position });
      }
      return entry.folded === 0 ? entry.text : `${entry.text.slice(0, -1)},"conflated":${entry.folded}}`;
    }
    return undefined;
  }

  /** `firstOf` for every ticker with waiting updates. */
  first(): Map<string, number> {
    const first = new Map<string, number>();
    for (const { ticker, from } of this.#waiting.values()) {
      first.set(ticker, Math.min(from, first.get(ticker) ?? from));
    }
    for (const [ticker, from] of first) first.set(ticker, Math.max(from, (this.#taken.get(ticker) ?? 0) + 1));
    return first;
  }

  clear(): void {
    this.#waiting.clear();
    this.#gaps.clear();
    this.#taken.clear();
    this.#bytes = 0;
    this.#updates = 0;
  }

  #grow(gap: Waiting, to: number): void {
    this.#updates += to - gap.position;
    gap.position = to;
  }

  /** Can refuse too: one entry per ticker and type may still be too many. */
  #fold(ticker: string, type: string, position: number, text: string): boolean {
    // One deletion doesn't stand for another, of other rows.
    const key = editOfType(type) === null ? JSON.stringify([ticker, type]) : this.#nextKey++;
    const before = this.#waiting.get(key);
    if (before === undefined && this.#bytes + this.#cost(text) > this.#maxBytes) return false;
    if (before !== undefined) {
      this.#remove(key, before);
      this.#folded++;
      this.#counts.updatesFolded++;
    }
    // Moves it to the end, so that a ticker's positions stay in order.
    this.#put(key, {
      ...one(ticker, position, text),
      type,
      from: before?.from ?? position,
      folded: before === undefined ? 0 : before.folded + 1,
    });
    return true;
  }

  #remove(key: string | number, entry: Waiting): void {
    this.#waiting.delete(key);
    this.#bytes -= this.#cost(entry.text);
    this.#updates -= updatesIn(entry);
  }

  #put(key: string | number, entry: Waiting): void {
    this.#waiting.set(key, entry);
    this.#bytes += this.#cost(entry.text);
    this.#updates += updatesIn(entry);
  }

  #cost(text: string | null): number {
    return Math.min(text?.length ?? 0, Math.floor(this.#maxBytes / FRAME_PARTS)) + 1;
  }
}

function one(ticker: string, position: number, text: string | null): Waiting {
  return { ticker, type: "", from: position, position, text, folded: 0, sinceMs: performance.now() };
}

function updatesIn({ text, from, position, folded }: Waiting): number {
  return text === null ? position - from + 1 : folded + 1;
}
