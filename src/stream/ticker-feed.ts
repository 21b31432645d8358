/**
 * Delivers the updates of one ticker: each position once, in order. An early update waits for those
 * before it; the update log supplies those that don't come. So nothing on the way here has to be
 * reliable or in order.
 */

import { messageOf } from "../protocol/message-of.ts";
import type { StoredUpdate, TickerSnapshot, Update } from "../storage/update-contract.ts";
import { turn } from "../time/pauses.ts";

/** How long an early update waits for those before it, which usually follow at once. */
const REORDER_MS = 20;
const RETRY_MS = 500;
/** Limit for waiting early updates, in UTF-16 units of frames; beyond it the log supplies them. */
const EARLY_CHARACTERS_MAX = 1024 * 1024;
/** Limit for the newest updates, kept for subscribers that are joining. */
const TAIL_CHARACTERS_MAX = 1024 * 1024;

/** Shared by all feeds: there are many. */
export interface FeedOptions {
  /** Some of the updates after the position, ascending: see UpdateReader. */
  read(ticker: string, after: number): StoredUpdate[] | Promise<StoredUpdate[]>;
  /** Called for the next update, when `delivered` is its position already. */
  deliver(ticker: string, update: Update): void;
  /** The content of these positions is lost; a snapshot follows. */
  gap(ticker: string, from: number, to: number): void;
  /** Read after a gap: holds what the gap left out. */
  readSnapshot(ticker: string): TickerSnapshot | Promise<TickerSnapshot>;
  /** Called when everything up to the snapshot's position was delivered. */
  tellSnapshot(ticker: string, snapshot: TickerSnapshot): void;
  /** Called for each failed read of the log. */
  warn(ticker: string, message: string): void;
}

/** State that exists only while updates are missing or subscribers join. */
class PendingWork {
  early = new Map<number, Update>();
  earlyCharacters = 0;
  timer: Timer | null = null;
  filling = false;
  /**
   * True while the snapshot after a gap is read. Nothing is delivered then, so that the snapshot
   * doesn't come too late for its position.
   */
  paused = false;
  /** Told once its position is delivered. */
  snapshot: TickerSnapshot | null = null;
  tail: Update[] = [];
  tailCharacters = 0;
  tailUsers = 0;

  keep(update: Update): void {
    this.tail.push(update);
    this.tailCharacters += update.frame.length;
    while (this.tailCharacters > TAIL_CHARACTERS_MAX && this.tail.length > 1) {
      this.tailCharacters -= this.tail.shift()!.frame.length;
    }
  }

  dropTail(): void {
    this.tail = [];
    this.tailCharacters = 0;
  }

  forgetEarly(update: Update): void {
    if (this.early.delete(update.position)) this.earlyCharacters -= update.frame.length;
  }

  get isDone(): boolean {
    const isQuiet = this.early.size === 0 && this.timer === null && !this.filling && this.tailUsers === 0;
    return isQuiet && !this.paused && this.snapshot === null;
  }
}

export class TickerFeed {
  readonly #ticker: string;
  readonly #options: FeedOptions;
  #delivered: number;
  /** The highest position known to exist. */
  #known: number;
  #closed = false;
  /** Null nearly always: there are many feeds. */
  #pending: PendingWork | null = null;

  /** @param delivered the position before the first update. */
  constructor(ticker: string, delivered: number, options: FeedOptions) {
    this.#ticker = ticker;
    this.#options = options;
    this.#delivered = delivered;
    this.#known = delivered;
  }

  get delivered(): number {
    return this.#delivered;
  }

  /** Whether the feed can be closed, and opened again at its position. */
  get idle(): boolean {
    return this.#pending === null || this.#pending.isDone;
  }

  accept(update: Update): void {
    if (this.#closed || update.position <= this.#delivered) return;
    if (update.position === this.#delivered + 1 && !this.#isPaused) {
      this.#deliver(update);
      this.#deliverEarly();
      return;
    }
    this.#hold(update);
    this.note(update.position);
  }

  /** An update of this position exists. */
  note(position: number): void {
    if (this.#closed || position <= this.#delivered) return;
    this.#known = Math.max(this.#known, position);
    const pending = this.#ensurePending();
    if (pending.timer === null && !pending.filling && !pending.paused)
      pending.timer = setTimeout(() => this.#fill(), REORDER_MS);
  }

  /** Keeps the newest updates for `since`, until `dropTail`. */
  keepTail(): void {
    this.#ensurePending().tailUsers++;
  }

  dropTail(): void {
    const pending = this.#ensurePending();
    if (--pending.tailUsers > 0) return;
    pending.dropTail();
    this.#dropIfIdle();
  }

  /** Everything after the position; null if not all of it is kept here. */
  since(position: number): Update[] | null {
    if (position >= this.#delivered) return [];
    const tail = this.#pending?.tail ?? [];
    const first = tail[0];
    if (first === undefined || first.position > position + 1) return null;
    return tail.slice(position + 1 - first.position);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#pending?.timer ?? undefined);
  }

  get #isPaused(): boolean {
    return this.#pending?.paused === true;
  }

  #ensurePending(): PendingWork {
    this.#pending ??= new PendingWork();
    return this.#pending;
  }

  #dropIfIdle(): void {
    if (this.idle) this.#pending = null;
  }

  #hold(update: Update): void {
    const pending = this.#ensurePending();
    if (pending.early.has(update.position)) return;
    pending.early.set(update.position, update);
    pending.earlyCharacters += update.frame.length;
    if (pending.earlyCharacters <= EARLY_CHARACTERS_MAX) return;
    pending.early.clear();
    pending.earlyCharacters = 0;
  }

  #deliverEarly(): void {
    while (this.#pending !== null && !this.#isPaused) {
      const next = this.#pending.early.get(this.#delivered + 1);
      if (next === undefined) return;
      this.#pending.forgetEarly(next);
      this.#deliver(next);
    }
  }

  #deliver(update: Update): void {
    if (update.frame === "") {
      this.#skip(update.position);
      return;
    }
    this.#delivered = update.position;
    if (this.#pending !== null && this.#pending.tailUsers > 0) this.#pending.keep(update);
    this.#options.deliver(this.#ticker, update);
    this.#tellSnapshotIfDue();
  }

  #skip(to: number): void {
    const from = this.#delivered + 1;
    this.#delivered = to;
    // Joining subscribers read the log, and find the same gap.
    this.#pending?.dropTail();
    this.#options.gap(this.#ticker, from, to);
    const snapshot = this.#pending?.snapshot ?? null;
    if (snapshot !== null && snapshot.position >= to) this.#tellSnapshotIfDue();
    else void this.#readSnapshot();
  }

  async #readSnapshot(): Promise<void> {
    const pending = this.#ensurePending();
    pending.paused = true;
    let isRead = false;
    while (!isRead && !this.#closed) {
      try {
        const read = this.#options.readSnapshot(this.#ticker);
        // A synchronous read lets nothing come in between.
        pending.snapshot = read instanceof Promise ? await read : read;
        isRead = true;
      } catch (error) {
        this.#options.warn(this.#ticker, messageOf(error));
        await Bun.sleep(RETRY_MS);
      }
    }
    pending.paused = false;
    if (this.#closed) return;
    const position = pending.snapshot!.position;
    this.#tellSnapshotIfDue();
    this.#deliverEarly();
    this.note(Math.max(position, this.#known));
    this.#dropIfIdle();
  }

  #tellSnapshotIfDue(): void {
    const pending = this.#pending;
    if (pending === null || pending.snapshot === null || pending.snapshot.position > this.#delivered) return;
    const { snapshot } = pending;
    pending.snapshot = null;
    this.#options.tellSnapshot(this.#ticker, snapshot);
  }

  async #fill(): Promise<void> {
    const pending = this.#ensurePending();
    pending.timer = null;
    if (pending.filling || this.#closed) return;
    pending.filling = true;
    try {
      while (!this.#closed && !pending.paused && this.#delivered < this.#known) {
        const read = this.#options.read(this.#ticker, this.#delivered);
        this.#takeStored(read instanceof Promise ? await read : read);
        // Others have their turn, also where a read takes none.
        if (this.#delivered < this.#known) await turn();
      }
    } catch (error) {
      this.#options.warn(this.#ticker, messageOf(error));
      if (!this.#closed) pending.timer = setTimeout(() => this.#fill(), RETRY_MS);
    } finally {
      pending.filling = false;
    }
    for (const update of [...pending.early.values()]) {
      if (update.position <= this.#delivered) pending.forgetEarly(update);
    }
    this.#dropIfIdle();
  }

  #takeStored(updates: StoredUpdate[]): void {
    for (const update of updates) {
      if (update.position <= this.#delivered) continue;
      if (update.position > this.#delivered + 1) this.#skip(update.position - 1);
      // The rest is read again after the pause.
      if (this.#isPaused) return;
      // It may have waited here too, and been delivered with the snapshot.
      if (update.position <= this.#delivered) continue;
      this.#deliver(update);
      if (this.#isPaused) return;
    }
    this.#deliverEarly();
    if (updates.length > 0 || this.#isPaused || this.#delivered >= this.#known) return;
    // The log keeps nothing after this: only updates that wait here can still be told.
    const early = this.#pending?.early ?? new Map<number, Update>();
    const next = Math.min(this.#known, ...early.keys());
    this.#skip(early.has(next) ? next - 1 : next);
    this.#deliverEarly();
  }
}
