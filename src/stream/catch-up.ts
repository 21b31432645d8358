/**
 * Reads what a subscriber missed from the update log, until it meets what the worker has delivered.
 * For updates that the log doesn't keep, the subscriber gets a gap, and a snapshot once it reaches
 * the snapshot's position.
 */
import type {
  StoredUpdate,
  TickerSnapshot,
  Update,
  UpdateLimit,
  UpdateReader,
} from "../storage/update-contract.ts";
import type { Subscription } from "./subscription.ts";
import type { TickerFeed } from "./ticker-feed.ts";
import { matches } from "./type-filter.ts";

/** Limit for one read of the update log. */
export const READ_LIMIT: UpdateLimit = { updates: 500, characters: 256 * 1024 };

export interface CatchUpOptions {
  ticker: string;
  feed: TickerFeed;
  /** The subscriber has everything up to this position. */
  from: number;
  /** The updates after `from`, if they were read already. */
  read: StoredUpdate[] | null;
  updates: UpdateReader;
  epoch: string;
}

/**
 * @param met called when the subscriber has everything up to this position and the feed has
 *   delivered it; in the same turn, since the next update may follow at once. Not called when the
 *   subscription has left.
 * @throws what the reader throws.
 */
export async function catchUp(
  subscription: Subscription,
  options: CatchUpOptions,
  met: (position: number) => void,
): Promise<void> {
  const { ticker, feed, updates } = options;
  const reading = new Reading(subscription, options);
  let { read } = options;
  feed.keepTail();
  try {
    while (!subscription.hasLeft) {
      const tail = feed.since(reading.position);
      if (tail !== null && !reading.awaitsSnapshot) {
        for (const update of tail) reading.tell(update);
        met(Math.max(reading.position, feed.delivered));
        return;
      }
      const { delivered } = feed;
      read ??= await updates.after(ticker, reading.position, READ_LIMIT);
      await reading.tellStored(read, delivered);
      read = null;
      if (!subscription.hasLeft) await subscription.subscriber.room();
    }
  } finally {
    feed.dropTail();
  }
}

class Reading {
  readonly #subscription: Subscription;
  readonly #options: CatchUpOptions;
  #position: number;
  /** The client gets it once it reaches the snapshot's position. */
  #snapshot: TickerSnapshot | null = null;

  constructor(subscription: Subscription, options: CatchUpOptions) {
    this.#subscription = subscription;
    this.#options = options;
    this.#position = options.from;
    subscription.setReadTo(options.ticker, this.#position);
  }

  get position(): number {
    return this.#position;
  }

  get awaitsSnapshot(): boolean {
    return this.#snapshot !== null;
  }

  tell(update: Update): void {
    const { subscriber, filter } = this.#subscription;
    const { ticker, epoch } = this.#options;
    if (matches(filter, update.type)) subscriber.recover(subscriber.form.update(ticker, update, epoch));
    this.#reach(update.position);
  }

  /** @param delivered a position that the database holds. */
  async tellStored(stored: StoredUpdate[], delivered: number): Promise<void> {
    let missingTo = stored.length === 0 ? Math.max(delivered, this.#snapshot?.position ?? 0) : 0;
    for (const update of stored) {
      if (this.#subscription.hasLeft) return;
      if (update.frame === "") {
        missingTo = update.position;
        continue;
      }
      missingTo = update.position - 1;
      if (missingTo > this.#position) await this.#tellGap(missingTo);
      if (this.#subscription.hasLeft) return;
      this.tell(update);
    }
    if (missingTo > this.#position) await this.#tellGap(missingTo);
  }

  async #tellGap(to: number): Promise<void> {
    const { ticker, updates, epoch } = this.#options;
    const { subscriber } = this.#subscription;
    subscriber.recover(subscriber.form.gap(ticker, { from: this.#position + 1, to }, "not_kept", epoch));
    if (this.#snapshot === null || this.#snapshot.position < to)
      this.#snapshot = await updates.snapshot(ticker);
    if (!this.#subscription.hasLeft) this.#reach(to);
  }

  #reach(position: number): void {
    const { ticker, epoch } = this.#options;
    this.#position = position;
    this.#subscription.setReadTo(ticker, position);
    const snapshot = this.#snapshot;
    if (snapshot === null || snapshot.position > position) return;
    this.#snapshot = null;
    const { subscriber } = this.#subscription;
    subscriber.recover(subscriber.form.snapshot(ticker, snapshot, epoch));
  }
}
