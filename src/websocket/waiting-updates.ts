/**
 * Updates that wait for a client that reads slowly, bounded. At the bound the policy that the
 * client chose decides: `add` tells that it is to be disconnected, or folds, or drops and says so.
 */
import { gapFrame } from "../protocol/frames.ts";
import type { Update } from "../storage/update-contract.ts";
import type { SlowPolicy } from "./live-request.ts";

interface Waiting {
  ticker: string;
  type: string;
  /** Positions that it stands for; `from` is the first that was folded or dropped. */
  from: number;
  seq: number;
  /** Null for a gap. */
  text: string | null;
  /** Updates that were folded into this one. */
  folded: number;
}

/** However large a frame is, some must fit: it counts for no more than this part of the bound. */
const FRAME_PARTS = 16;

export class WaitingUpdates {
  readonly #policy: SlowPolicy;
  readonly #maxBytes: number;
  /** In the order in which they are sent; keyed by ticker and type where they are folded. */
  #waiting = new Map<string | number, Waiting>();
  #bytes = 0;
  #nextKey = 0;
  /** By ticker: its newest entry, if that is a gap that can still grow. */
  readonly #gaps = new Map<string, Waiting>();
  /**
   * By ticker, while something waits: the newest position that was taken. What is folded into a
   * later one may lie before it.
   */
  readonly #taken = new Map<string, number>();

  constructor(policy: SlowPolicy, maxBytes: number) {
    this.#policy = policy;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#waiting.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns false when nothing more may wait, and the client has to go. */
  add(ticker: string, update: Update, text: string): boolean {
    const { type, position } = update;
    if (this.#policy === "conflate") return this.#fold(ticker, type, position, text);
    const fits = this.#bytes + this.#cost(text) <= this.#maxBytes;
    if (!fits && this.#policy === "disconnect") return false;
    const gap = this.#gaps.get(ticker);
    // After a gap it goes on only when all that waited was taken: otherwise there would be a gap
    // behind every update.
    if (fits && gap === undefined) {
      this.#put(this.#nextKey++, { ticker, type, from: position, seq: position, text, folded: 0 });
      return true;
    }
    if (gap === undefined) {
      const fresh = { ticker, type: "", from: position, seq: position, text: null, folded: 0 };
      this.#gaps.set(ticker, fresh);
      this.#put(this.#nextKey++, fresh);
    } else gap.seq = position;
    return true;
  }

  /** Positions whose content can't be known: told whatever the policy is. */
  addGap(ticker: string, from: number, to: number, text: string): void {
    const gap = this.#gaps.get(ticker);
    if (gap !== undefined) gap.seq = to;
    else this.#put(this.#nextKey++, { ticker, type: "", from, seq: to, text, folded: 0 });
  }

  /**
   * Behind a gap of positions whose content can't be known. Where this is part of what is dropped,
   * it is told with that.
   */
  addSnapshot(ticker: string, seq: number, text: string): void {
    if (this.#gaps.has(ticker)) return;
    const key = JSON.stringify([ticker]);
    const before = this.#waiting.get(key);
    if (before !== undefined) this.#remove(key, before);
    // It is no update: what it stands before is the next one.
    this.#put(key, { ticker, type: "", from: seq + 1, seq, text, folded: 0 });
  }

  /** The ticker's subscription has ended. */
  dropTicker(ticker: string): void {
    this.#drop((entry) => entry.ticker === ticker);
    this.#gaps.delete(ticker);
    this.#taken.delete(ticker);
  }

  /**
   * The subscription goes on with other types. Gaps stay: of which types the updates were nobody
   * knows.
   *
   * @param ticker null: of all.
   */
  dropTypes(ticker: string | null, stays: (type: string) => boolean): void {
    this.#drop(
      (entry) => (ticker === null || entry.ticker === ticker) && entry.type !== "" && !stays(entry.type),
    );
  }

  /**
   * The position after the newest one of the ticker that was sent; undefined if nothing of it
   * waits. All before it was sent, or is folded into what waits.
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

  /** The next frame to send; undefined when none waits. */
  take(): string | undefined {
    for (const [key, entry] of this.#waiting) {
      this.#remove(key, entry);
      if (this.#waiting.size === 0) this.#taken.clear();
      else this.#taken.set(entry.ticker, entry.seq);
      if (entry.text === null) {
        this.#gaps.delete(entry.ticker);
        return gapFrame(entry.ticker, entry.from, entry.seq, "slow");
      }
      return entry.folded === 0 ? entry.text : `${entry.text.slice(0, -1)},"conflated":${entry.folded}}`;
    }
    return undefined;
  }

  /** `firstOf` every ticker of which something waits. */
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
  }

  /** One for each ticker and type may still be too many. */
  #fold(ticker: string, type: string, seq: number, text: string): boolean {
    const key = JSON.stringify([ticker, type]);
    const before = this.#waiting.get(key);
    if (before === undefined && this.#bytes + this.#cost(text) > this.#maxBytes) return false;
    if (before !== undefined) this.#remove(key, before);
    // Behind all others: positions of a ticker stay in order.
    this.#put(key, {
      ticker,
      type,
      from: before?.from ?? seq,
      seq,
      text,
      folded: before === undefined ? 0 : before.folded + 1,
    });
    return true;
  }

  #remove(key: string | number, { text }: Waiting): void {
    this.#waiting.delete(key);
    this.#bytes -= this.#cost(text);
  }

  #put(key: string | number, entry: Waiting): void {
    this.#waiting.set(key, entry);
    this.#bytes += this.#cost(entry.text);
  }

  #cost(text: string | null): number {
    return Math.min(text?.length ?? 0, Math.floor(this.#maxBytes / FRAME_PARTS)) + 1;
  }
}
