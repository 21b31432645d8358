/** Reads what a subscriber has missed from the update log, until it meets what the worker has delivered. */
import { gapFrame, positioned } from "../protocol/frames.ts";
import type { StoredUpdate, Update, UpdateLimit, UpdateReader } from "../storage/update-contract.ts";
import { hasLeft, type Subscription } from "./subscriber.ts";
import type { TickerFeed } from "./ticker-feed.ts";
import { matches } from "./type-filter.ts";

/** One read of the update log. */
export const READ_LIMIT: UpdateLimit = { updates: 500, characters: 256 * 1024 };

/**
 * @param from the position that it has everything up to.
 * @param met called when it has everything up to this position, which the feed has delivered; in the same turn, since the next update may be about
 *   to be delivered. Not called when the subscription has left.
 * @throws what the reader throws.
 */
export async function catchUp(
  subscription: Subscription,
  { ticker, feed, from, updates }: { ticker: string; feed: TickerFeed; from: number; updates: UpdateReader },
  met: (position: number) => void,
): Promise<void> {
  const { subscriber, behind } = subscription;
  let position = from;
  behind.set(ticker, position);
  feed.keepTail();
  try {
    while (!hasLeft(subscription)) {
      const tail = feed.since(position);
      if (tail !== null) {
        for (const update of tail) recover(subscription, ticker, update);
        met(Math.max(position, feed.delivered));
        return;
      }
      const { delivered } = feed;
      const read = updates.after(ticker, position, READ_LIMIT);
      const missed = read instanceof Promise ? await read : read;
      if (hasLeft(subscription)) return;
      for (const update of missed) {
        if (update.seq > position + 1)
          subscriber.recover(gapFrame(ticker, position + 1, update.seq - 1, "not_kept"));
        recover(subscription, ticker, update);
        position = update.seq;
        behind.set(ticker, position);
      }
      if (missed.length === 0 && position < delivered) {
        subscriber.recover(gapFrame(ticker, position + 1, delivered, "not_kept"));
        position = delivered;
        behind.set(ticker, position);
      }
      await subscriber.room();
    }
  } finally {
    feed.dropTail();
  }
}

function recover({ subscriber, filter }: Subscription, ticker: string, update: StoredUpdate | Update): void {
  if (update.frame === "") subscriber.recover(gapFrame(ticker, update.seq, update.seq, "not_kept"));
  else if (matches(filter, update.type)) subscriber.recover(positioned(update.frame, update.seq));
}
