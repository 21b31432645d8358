/**
 * The updates of one ticker as this worker delivers them: each position once, in order. What comes
 * too early waits for what is between; what doesn't come is read from the update log. So nothing
 * before it has to be reliable or in order.
 */

import { messageOf } from "../protocol/message-of.ts";
import type { StoredUpdate, TickerSnapshot, Update } from "../storage/update-contract.ts";
import { turn } from "../time/pauses.ts";

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

/** What a feed has only while something is missing, or somebody joins. */
class Busy {
  early = new Map<number, Update>();
  earlyCharacters = 0;
  timer: Timer | null = null;
  filling = false;
  /**
   * After a gap, while the snapshot is read: nothing is delivered, so that it can't come too late
   * for its position.
   */
  paused = false;
  /** To be told at its position. */
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
    if (this.early.delete(update.seq)) this.earlyCharacters -= update.frame.length;
  }

  get isOver(): boolean {
    const isQuiet = this.early.size === 0 && this.timer === null && !this.filling && this.tailUsers === 0;
    return isQuiet && !this.paused && this.snapshot === null;
  }
}

export class TickerFeed {
  readonly #ticker: string;
  readonly #options: FeedOptions;
  #delivered: number;
  /** The highest position that is known to exist. */
  #known: number;
  #closed = false;
  /** Null nearly always: there are many feeds. */
  #busy: Busy | null = null;

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
    return this.#busy === null || this.#busy.isOver;
  }

  accept(update: Update): void {
    if (this.#closed || update.seq <= this.#delivered) return;
    if (update.seq === this.#delivered + 1 && !this.#isPaused) {
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
    const busy = this.#beBusy();
    if (busy.timer === null && !busy.filling && !busy.paused)
      busy.timer = setTimeout(() => this.#fill(), REORDER_MS);
  }

  /** From here on the newest updates are kept for `since`, until `dropTail`. */
  keepTail(): void {
    this.#beBusy().tailUsers++;
  }

  dropTail(): void {
    const busy = this.#beBusy();
    if (--busy.tailUsers > 0) return;
    busy.dropTail();
    this.#rest();
  }

  /** Everything after the position; null where not all of it is kept here. */
  since(position: number): Update[] | null {
    if (position >= this.#delivered) return [];
    const tail = this.#busy?.tail ?? [];
    const first = tail[0];
    if (first === undefined || first.seq > position + 1) return null;
    return tail.slice(position + 1 - first.seq);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#busy?.timer ?? undefined);
  }

  get #isPaused(): boolean {
    return this.#busy?.paused === true;
  }

  #beBusy(): Busy {
    this.#busy ??= new Busy();
    return this.#busy;
  }

  #rest(): void {
    if (this.idle) this.#busy = null;
  }

  #hold(update: Update): void {
    const busy = this.#beBusy();
    if (busy.early.has(update.seq)) return;
    busy.early.set(update.seq, update);
    busy.earlyCharacters += update.frame.length;
    if (busy.earlyCharacters <= EARLY_CHARACTERS_MAX) return;
    busy.early.clear();
    busy.earlyCharacters = 0;
  }

  #deliverEarly(): void {
    while (this.#busy !== null && !this.#isPaused) {
      const next = this.#busy.early.get(this.#delivered + 1);
      if (next === undefined) return;
      this.#busy.forgetEarly(next);
      this.#deliver(next);
    }
  }

  #deliver(update: Update): void {
    if (update.frame === "") {
      this.#skip(update.seq);
      return;
    }
    this.#delivered = update.seq;
    if (this.#busy !== null && this.#busy.tailUsers > 0) this.#busy.keep(update);
    this.#options.deliver(this.#ticker, update);
    this.#tellSnapshotIfDue();
  }

  #skip(to: number): void {
    const from = this.#delivered + 1;
    this.#delivered = to;
    // Whoever is joining reads the log, and finds the same.
    this.#busy?.dropTail();
    this.#options.gap(this.#ticker, from, to);
    const snapshot = this.#busy?.snapshot ?? null;
    if (snapshot !== null && snapshot.seq >= to) this.#tellSnapshotIfDue();
    else void this.#readSnapshot();
  }

  async #readSnapshot(): Promise<void> {
    const busy = this.#beBusy();
    busy.paused = true;
    let isRead = false;
    while (!isRead && !this.#closed) {
      try {
        const read = this.#options.readSnapshot(this.#ticker);
        // Where it takes no turn of the event loop, nothing has waited for it.
        busy.snapshot = read instanceof Promise ? await read : read;
        isRead = true;
      } catch (error) {
        this.#options.warn(this.#ticker, messageOf(error));
        await Bun.sleep(RETRY_MS);
      }
    }
    busy.paused = false;
    if (this.#closed) return;
    const position = busy.snapshot!.seq;
    this.#tellSnapshotIfDue();
    this.#deliverEarly();
    this.note(Math.max(position, this.#known));
    this.#rest();
  }

  #tellSnapshotIfDue(): void {
    const busy = this.#busy;
    if (busy === null || busy.snapshot === null || busy.snapshot.seq > this.#delivered) return;
    const { snapshot } = busy;
    busy.snapshot = null;
    this.#options.tellSnapshot(this.#ticker, snapshot);
  }

  async #fill(): Promise<void> {
    const busy = this.#beBusy();
    busy.timer = null;
    if (busy.filling || this.#closed) return;
    busy.filling = true;
    try {
      while (!this.#closed && !busy.paused && this.#delivered < this.#known) {
        const read = this.#options.read(this.#ticker, this.#delivered);
        this.#takeStored(read instanceof Promise ? await read : read);
        // Others have their turn, also where a read takes none.
        if (this.#delivered < this.#known) await turn();
      }
    } catch (error) {
      this.#options.warn(this.#ticker, messageOf(error));
      if (!this.#closed) busy.timer = setTimeout(() => this.#fill(), RETRY_MS);
    } finally {
      busy.filling = false;
    }
    for (const update of [...busy.early.values()]) {
      if (update.seq <= this.#delivered) busy.forgetEarly(update);
    }
    this.#rest();
  }

  #takeStored(updates: StoredUpdate[]): void {
    for (const update of updates) {
      if (update.seq <= this.#delivered) continue;
      if (update.seq > this.#delivered + 1) this.#skip(update.seq - 1);
      // What is left is read once more.
      if (this.#isPaused) return;
      // It may have waited here as well, and have come with the snapshot.
      if (update.seq <= this.#delivered) continue;
      this.#deliver(update);
      if (this.#isPaused) return;
    }
    this.#deliverEarly();
    if (updates.length > 0 || this.#isPaused || this.#delivered >= this.#known) return;
    // The log keeps nothing after this: only what waits here can still be told.
    const early = this.#busy?.early ?? new Map<number, Update>();
    const next = Math.min(this.#known, ...early.keys());
    this.#skip(early.has(next) ? next - 1 : next);
    this.#deliverEarly();
  }
}
