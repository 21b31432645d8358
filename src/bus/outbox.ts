/**
 * Updates that wait for one connection. They gather and share messages while the broker is busy.
 */
import type { BusFeed, BusUpdate } from "./bus.ts";
import type { Link } from "./carrier.ts";
import {
  countThatFit,
  type Entry,
  encodeEntry,
  encodeFeed,
  encodeFeedsMessage,
  encodeMessage,
} from "./message.ts";

/** Limit for unsent updates. Beyond it, the oldest are dropped. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

/** Limit for unsent feeds. Those beyond it are dropped: newer figures follow. */
const FEEDS_WAITING_MAX = 20_000;

/** Kept from one connection to the next. */
export interface Accounts {
  published: number;
  dropped: number;
  /** Updates were dropped, and the other servers don't know yet. */
  owesNotice: boolean;
}

export interface OutboxOptions {
  link: Link;
  sendsAtOnce: number;
  carriesFrames: boolean;
  from: string;
  accounts: Accounts;
  /** The broker refused a message, and may refuse the next: the connection must be closed. */
  failed(error: unknown): void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  #entries: Entry[] = [];
  /** Index of the oldest unsent entry. */
  #first = 0;
  #bytes = 0;
  /** Sent when no update waits. */
  #feeds: Entry[] = [];
  #sending = 0;
  #updatesSending = 0;
  #closed = false;
  #drained: (() => void) | null = null;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#sendWaiting();
  }

  push(updates: readonly BusUpdate[]): void {
    const { link, carriesFrames } = this.#options;
    const limits = { messageBytesMax: link.messageBytesMax, carriesFrames };
    for (const update of updates) {
      const entry = encodeEntry(update, limits);
      if (entry === null) {
        countDropped(this.#options.accounts, 1);
        continue;
      }
      this.#entries.push(entry);
      this.#bytes += entry.bytes;
    }
    while (this.#bytes > WAITING_BYTES_MAX && this.#first < this.#entries.length) {
      this.#bytes -= this.#entries[this.#first++]!.bytes;
      countDropped(this.#options.accounts, 1);
    }
    this.#sendWaiting();
  }

  pushFeeds(feeds: readonly BusFeed[]): void {
    const { link } = this.#options;
    for (const feed of feeds) {
      const entry = this.#feeds.length < FEEDS_WAITING_MAX ? encodeFeed(feed, link) : null;
      if (entry !== null) this.#feeds.push(entry);
    }
    this.#sendWaiting();
  }

  drain(): Promise<void> {
    if (this.#sending === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  /** Also counts as dropped what is being sent: a client library may never report its fate. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    countDropped(this.#options.accounts, this.#entries.length - this.#first + this.#updatesSending);
    this.#options.accounts.owesNotice ||= this.#sending > 0;
    this.#entries = [];
    this.#feeds = [];
    this.#first = 0;
  }

  #sendWaiting(): void {
    const { sendsAtOnce, accounts } = this.#options;
    while (
      !this.#closed &&
      this.#sending < sendsAtOnce &&
      (this.#first < this.#entries.length || accounts.owesNotice)
    )
      void this.#sendOne();
    while (!this.#closed && this.#sending < sendsAtOnce && this.#feeds.length > 0) void this.#sendFeeds();
    if (this.#sending === 0) this.#drained?.();
  }

  async #sendOne(): Promise<void> {
    const { link, from, accounts, failed } = this.#options;
    const count = countThatFit(this.#entries, this.#first, link.messageBytesMax);
    const batch = this.#entries.slice(this.#first, this.#first + count);
    this.#forget(count);
    const bytes = batch.reduce((sum, entry) => sum + entry.bytes, 0);
    const missed = accounts.owesNotice;
    accounts.owesNotice = false;
    this.#sending++;
    this.#updatesSending += count;
    try {
      await link.send(encodeMessage(from, missed, batch));
      if (!this.#closed) accounts.published += count;
    } catch (error) {
      this.close();
      failed(error);
    }
    this.#sending--;
    this.#updatesSending -= count;
    this.#bytes -= bytes;
    this.#sendWaiting();
  }

  async #sendFeeds(): Promise<void> {
    const { link, from, failed } = this.#options;
    const batch = this.#feeds.splice(0, countThatFit(this.#feeds, 0, link.messageBytesMax));
    this.#sending++;
    try {
      await link.send(encodeFeedsMessage(from, batch));
    } catch (error) {
      this.close();
      failed(error);
    }
    this.#sending--;
    this.#sendWaiting();
  }

  /** Cuts the array now and then: a cut for each message would move all waiting entries. */
  #forget(count: number): void {
    this.#first += count;
    if (this.#first < this.#entries.length / 2) return;
    this.#entries.splice(0, this.#first);
    this.#first = 0;
  }
}

export function countDropped(accounts: Accounts, count: number): void {
  if (count === 0) return;
  accounts.dropped += count;
  accounts.owesNotice = true;
}
