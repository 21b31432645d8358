/**
 * Reads what a subscriber has missed from the update log, until it meets what the worker has
 * delivered. Where something is not kept, it is told so, and later, at its place among the updates,
 * gets a snapshot, which holds what was missing.
 */
import { gapFrame, positioned, snapshotFrame } from "../protocol/frames.ts";
import type {
  StoredUpdate,
  TickerSnapshot,
  Update,
  UpdateLimit,
  UpdateReader,
} from "../storage/update-contract.ts";
import { snapshotJson } from "./snapshot-json.ts";
import type { Subscription } from "./subscription.ts";
import type { TickerFeed } from "./ticker-feed.ts";
import { matches } from "./type-filter.ts";

/** One read of the update log. */
export const READ_LIMIT: UpdateLimit = { updates: 500, characters: 256 * 1024 };

export interface CatchUpOptions {
  ticker: string;
  feed: TickerFeed;
  /** The position that it has everything up to. */
  from: number;
  /** What was read of the log after it already. */
  read: StoredUpdate[] | null;
  updates: UpdateReader;
  epoch: string;
}

/**
 * @param met called when it has everything up to this position, which the feed has delivered; in
 *   the same turn, since the next update may be about to be delivered. Not called when the
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
  /** To be told at its position. */
  #snapshot: TickerSnapshot | null = null;

  constructor(subscription: Subscription, options: CatchUpOptions) {
    this.#subscription = subscription;
    this.#options = options;
    this.#position = options.from;
    subscription.setBehind(options.ticker, this.#position);
  }

  get position(): number {
    return this.#position;
  }

  get awaitsSnapshot(): boolean {
    return this.#snapshot !== null;
  }

  /** The next update. */
  tell({ position, type, frame }: Update): void {
    const { subscriber, filter } = this.#subscription;
    if (matches(filter, type)) subscriber.recover(positioned(frame, position));
    this.#reach(position);
  }

  /** @param delivered a position that exists. */
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
    const { ticker, updates } = this.#options;
    this.#subscription.subscriber.recover(gapFrame(ticker, this.#position + 1, to, "not_kept"));
    if (this.#snapshot === null || this.#snapshot.position < to)
      this.#snapshot = await updates.snapshot(ticker);
    if (!this.#subscription.hasLeft) this.#reach(to);
  }

  #reach(position: number): void {
    const { ticker, epoch } = this.#options;
    this.#position = position;
    this.#subscription.setBehind(ticker, position);
    const snapshot = this.#snapshot;
    if (snapshot === null || snapshot.position > position) return;
    this.#snapshot = null;
    this.#subscription.subscriber.recover(
      snapshotFrame(ticker, snapshotJson(snapshot), { seq: snapshot.position, epoch }),
    );
  }
}
