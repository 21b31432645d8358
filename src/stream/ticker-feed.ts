/**
 * The updates of one ticker as this worker delivers them: each position once, in order. What comes too early waits for what is
 * between; what doesn't come is read from the update log. So nothing before it has to be reliable or in order.
 */

import { messageOf } from "../protocol/message-of.ts";
import type { StoredUpdate, TickerSnapshot, Update } from "../storage/update-contract.ts";

/** How long an early update waits for those before it, which are usually just behind. */
const REORDER_MS = 20;
const RETRY_MS = 500;
/** Early updates that wait, in UTF-16 units of their frames; beyond it they are left to the log. */
const EARLY_CHARACTERS_MAX = 1024 * 1024;
/** Of the newest updates, for subscribers that are just joining. */
const TAIL_CHARACTERS_MAX = 1024 * 1024;

/** The same for all feeds: there are many. */
export interface FeedOptions {
  /** Some of the updates after the position, ascending: see UpdateReader. */
  read(ticker: string, after: number): StoredUpdate[] | Promise<StoredUpdate[]>;
  /** The next update; `delivered` is its position already. */
  deliver(ticker: string, update: Update): void;
  /** The content of these positions can't be known any more; a snapshot follows. */
  gap(ticker: string, from: number, to: number): void;
  /** Read after a gap: holds what was in it. */
  readSnapshot(ticker: string): TickerSnapshot | Promise<TickerSnapshot>;
  /** Its position is the one that everything up to was delivered. */
  tellSnapshot(ticker: string, snapshot: TickerSnapshot): void;
  /** Called once each time that the log doesn't answer. */
  warn(ticker: string, message: string): void;
}

export class TickerFeed {
  readonly #ticker: string;
  readonly #options: FeedOptions;
  #delivered: number;
  /** The highest position that is known to exist. */
  #known: number;
  /** Null where there are none, as nearly always. */
  #early: Map<number, Update> | null = null;
  #earlyCharacters = 0;
  #timer: Timer | null = null;
  #filling = false;
  /** After a gap, while the snapshot is read: nothing is delivered, so that it can't come too late for its position. */
  #paused = false;
  /** To be told at its position. */
  #snapshot: TickerSnapshot | null = null;
  #closed = false;
  #tail: Update[] | null = null;
  #tailCharacters = 0;
  #tailUsers = 0;

  /** @param delivered the position that the first update follows. */
  constructor(ticker: string, delivered: number, options: FeedOptions) {
    this.#ticker = ticker;
    this.#options = options;
    this.#delivered = delivered;
    this.#known = delivered;
  }

  get delivered(): number {
    return this.#delivered;
  }

  /** Nothing waits, and nobody reads: it could be opened again at its position. */
  get idle(): boolean {
    const isQuiet = this.#early === null && this.#timer === null && !this.#filling && this.#tailUsers === 0;
    return isQuiet && !this.#paused && this.#snapshot === null;
  }

  accept(update: Update): void {
    if (this.#closed || update.seq <= this.#delivered) return;
    if (update.seq === this.#delivered + 1 && !this.#paused) {
      this.#deliver(update);
      this.#deliverEarly();
      return;
    }
    this.#hold(update);
    this.note(update.seq);
  }

  /** An update of this position exists. */
  note(position: number): void {
    if (this.#closed || position <= this.#delivered) return;
    this.#known = Math.max(this.#known, position);
    if (this.#timer === null && !this.#filling && !this.#paused)
      this.#timer = setTimeout(() => this.#fill(), REORDER_MS);
  }

  /** From here on the newest updates are kept for `since`, until `dropTail`. */
  keepTail(): void {
    this.#tailUsers++;
  }

  dropTail(): void {
    if (--this.#tailUsers > 0) return;
    this.#tail = null;
    this.#tailCharacters = 0;
  }

  /** Everything after the position; null where not all of it is kept here. */
  since(position: number): Update[] | null {
    if (position >= this.#delivered) return [];
    const first = this.#tail?.[0];
    if (first === undefined || first.seq > position + 1) return null;
    return this.#tail!.slice(position + 1 - first.seq);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #hold(update: Update): void {
    this.#early ??= new Map();
    if (this.#early.has(update.seq)) return;
    this.#early.set(update.seq, update);
    this.#earlyCharacters += update.frame.length;
    if (this.#earlyCharacters <= EARLY_CHARACTERS_MAX) return;
    this.#early = null;
    this.#earlyCharacters = 0;
  }

  #deliverEarly(): void {
    while (this.#early !== null && !this.#paused) {
      const next = this.#early.get(this.#delivered + 1);
      if (next === undefined) return;
      this.#forgetEarly(next);
      this.#deliver(next);
    }
  }

  #forgetEarly(update: Update): void {
    if (this.#early?.delete(update.seq) !== true) return;
    this.#earlyCharacters -= update.frame.length;
    if (this.#early.size === 0) this.#early = null;
  }

  #deliver(update: Update): void {
    if (update.frame === "") {
      this.#skip(update.seq);
      return;
    }
    this.#delivered = update.seq;
    if (this.#tailUsers > 0) this.#keep(update);
    this.#options.deliver(this.#ticker, update);
    this.#tellSnapshotIfDue();
  }

  #skip(to: number): void {
    const from = this.#delivered + 1;
    this.#delivered = to;
    // Whoever is joining reads the log, and finds the same.
    this.#tail = null;
    this.#tailCharacters = 0;
    this.#options.gap(this.#ticker, from, to);
    if (this.#snapshot !== null && this.#snapshot.seq >= to) this.#tellSnapshotIfDue();
    else void this.#readSnapshot();
  }

  async #readSnapshot(): Promise<void> {
    this.#paused = true;
    let isRead = false;
    while (!isRead && !this.#closed) {
      try {
        const read = this.#options.readSnapshot(this.#ticker);
        // Where it takes no turn of the event loop, nothing has waited for it.
        this.#snapshot = read instanceof Promise ? await read : read;
        isRead = true;
      } catch (error) {
        this.#options.warn(this.#ticker, messageOf(error));
        await Bun.sleep(RETRY_MS);
      }
    }
    this.#paused = false;
    if (this.#closed) return;
    const position = this.#snapshot!.seq;
    this.#tellSnapshotIfDue();
    this.#deliverEarly();
    this.note(Math.max(position, this.#known));
  }

  #tellSnapshotIfDue(): void {
    const snapshot = this.#snapshot;
    if (snapshot === null || snapshot.seq > this.#delivered) return;
    this.#snapshot = null;
    this.#options.tellSnapshot(this.#ticker, snapshot);
  }

  #keep(update: Update): void {
    this.#tail ??= [];
    this.#tail.push(update);
    this.#tailCharacters += update.frame.length;
    while (this.#tailCharacters > TAIL_CHARACTERS_MAX && this.#tail.length > 1) {
      this.#tailCharacters -= this.#tail.shift()!.frame.length;
    }
  }

  async #fill(): Promise<void> {
    this.#timer = null;
    if (this.#filling || this.#closed) return;
    this.#filling = true;
    try {
      while (!this.#closed && !this.#paused && this.#delivered < this.#known) {
        const read = this.#options.read(this.#ticker, this.#delivered);
        this.#takeStored(read instanceof Promise ? await read : read);
        // Others have their turn, also where a read takes none.
        if (this.#delivered < this.#known) await new Promise(setImmediate);
      }
    } catch (error) {
      this.#options.warn(this.#ticker, messageOf(error));
      if (!this.#closed) this.#timer = setTimeout(() => this.#fill(), RETRY_MS);
    } finally {
      this.#filling = false;
    }
    for (const update of [...(this.#early?.values() ?? [])]) {
      if (update.seq <= this.#delivered) this.#forgetEarly(update);
    }
  }

  #takeStored(updates: StoredUpdate[]): void {
    for (const update of updates) {
      if (update.seq <= this.#delivered) continue;
      if (update.seq > this.#delivered + 1) this.#skip(update.seq - 1);
      // What is left is read once more.
      if (this.#paused) return;
      // It may have waited here as well, and have come with the snapshot.
      if (update.seq <= this.#delivered) continue;
      this.#deliver(update);
      if (this.#paused) return;
    }
    this.#deliverEarly();
    if (updates.length > 0 || this.#paused || this.#delivered >= this.#known) return;
    // The log keeps nothing after this: only what waits here can still be told.
    const next = Math.min(this.#known, ...(this.#early?.keys() ?? []));
    this.#skip(this.#early?.has(next) === true ? next - 1 : next);
    this.#deliverEarly();
  }
}
