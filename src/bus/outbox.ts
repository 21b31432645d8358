/**
 * Updates on their way to the broker over one connection: bounded, and gathered into messages while
 * the broker is busy.
 */
import type { BusUpdate } from "./bus.ts";
import type { Link } from "./carrier.ts";
import { countThatFit, type Entry, encodeEntry, encodeMessage } from "./message.ts";

/** Limit for unsent updates. Beyond it the oldest of them are dropped. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

/** Outlives the connection. */
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
  /** Id of this server. */
  from: string;
  accounts: Accounts;
  /**
   * The broker refused a message: the connection is given up, as the next one may fare no better.
   */
  failed(error: unknown): void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  #entries: Entry[] = [];
  /** The entries before are sent or dropped. */
  #first = 0;
  #bytes = 0;
  #sending = 0;
  #updatesSending = 0;
  #closed = false;
  #drained: (() => void) | null = null;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#sendWhatMay();
  }

  push(updates: readonly BusUpdate[]): void {
    const { link, carriesFrames } = this.#options;
    const limits = { messageBytesMax: link.messageBytesMax, carriesFrames };
    for (const update of updates) {
      const entry = encodeEntry(update, limits);
      if (entry === null) {
        drop(this.#options.accounts, 1);
        continue;
      }
      this.#entries.push(entry);
      this.#bytes += entry.bytes;
    }
    while (this.#bytes > WAITING_BYTES_MAX && this.#first < this.#entries.length) {
      this.#bytes -= this.#entries[this.#first++]!.bytes;
      drop(this.#options.accounts, 1);
    }
    this.#sendWhatMay();
  }

  /** Resolves when everything is with the broker. */
  drain(): Promise<void> {
    if (this.#sending === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  /**
   * What waits is dropped, and so, as far as anybody knows, is what is under way: a client library
   * may never say what became of it.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    drop(this.#options.accounts, this.#entries.length - this.#first + this.#updatesSending);
    this.#options.accounts.owesNotice ||= this.#sending > 0;
    this.#entries = [];
    this.#first = 0;
  }

  #sendWhatMay(): void {
    const { sendsAtOnce, accounts } = this.#options;
    while (
      !this.#closed &&
      this.#sending < sendsAtOnce &&
      (this.#first < this.#entries.length || accounts.owesNotice)
    )
      void this.#sendOne();
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
    this.#sendWhatMay();
  }

  /** The array is cut now and then: cutting at each message would move all that waits. */
  #forget(count: number): void {
    this.#first += count;
    if (this.#first < this.#entries.length / 2) return;
    this.#entries.splice(0, this.#first);
    this.#first = 0;
  }
}

export function drop(accounts: Accounts, count: number): void {
  if (count === 0) return;
  accounts.dropped += count;
  accounts.owesNotice = true;
}
