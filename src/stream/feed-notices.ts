/**
 * Tells subscribers that a feed of their ticker has become stale or alive. Notices are no updates:
 * they have no position, and aren't in the log. Whoever comes later is told what is stale then.
 */
import type { FeedNotice, LeftOutFeeds } from "../feeds/feed.ts";
import type { Channel } from "./channel.ts";
import { Texts } from "./frame-form.ts";
import { ALL_TICKERS } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import { matches, type TypeFilter } from "./type-filter.ts";

/** For subscribers to all tickers: of so many feeds within a second, or at their beginning. */
const TO_ALL_MAX = 1_000;
const WINDOW_MS = 1_000;

/** What is known of the server's feeds. */
export interface StaleFeeds {
  staleOf(ticker: string): Iterable<FeedNotice>;
  allStale(): Iterable<FeedNotice>;
}

export interface FeedNoticesOptions {
  channels: ReadonlyMap<string, Channel>;
  stale: StaleFeeds;
  epoch(): string;
}

export class FeedNotices {
  readonly #options: FeedNoticesOptions;
  /** Of subscribers to all, in this window. */
  #told = 0;
  #leftOut: LeftOutFeeds = { stale: 0, alive: 0 };
  #window: Timer | null = null;

  constructor(options: FeedNoticesOptions) {
    this.#options = options;
  }

  stop(): void {
    if (this.#window !== null) clearTimeout(this.#window);
    this.#window = null;
  }

  /** To all who are subscribed to its ticker, and get updates of its type. */
  tell(notice: FeedNotice): void {
    const { channels } = this.#options;
    const texts = this.#textsOf(notice);
    const own = channels.get(notice.ticker);
    if (own !== undefined) tellChannel(own, notice.type, texts);
    const all = channels.get(ALL_TICKERS);
    if (all === undefined) return;
    this.#window ??= setTimeout(() => this.#endWindow(), WINDOW_MS);
    if (++this.#told <= TO_ALL_MAX) tellChannel(all, notice.type, texts);
    else if (notice.isStale) this.#leftOut.stale++;
    else this.#leftOut.alive++;
  }

  /**
   * What is stale, to a subscription that is told of changes from now on.
   * @param before types of which it was told already; null: none.
   */
  tellStale(subscription: Subscription, before: TypeFilter | null = null): void {
    const { ticker, filter, subscriber } = subscription;
    const { stale } = this.#options;
    const isOfAll = ticker === ALL_TICKERS;
    let told = 0;
    let leftOut = 0;
    for (const notice of isOfAll ? stale.allStale() : stale.staleOf(ticker)) {
      const { type } = notice;
      if (!matches(filter, type) || (before !== null && matches(before, type))) continue;
      if (isOfAll && ++told > TO_ALL_MAX) leftOut++;
      else subscriber.send(this.#textsOf(notice).of(subscriber.form));
    }
    if (leftOut > 0) subscriber.send(this.#leftOutTexts({ stale: leftOut, alive: 0 }).of(subscriber.form));
  }

  #endWindow(): void {
    this.#window = null;
    this.#told = 0;
    const leftOut = this.#leftOut;
    if (leftOut.stale + leftOut.alive === 0) return;
    this.#leftOut = { stale: 0, alive: 0 };
    const all = this.#options.channels.get(ALL_TICKERS);
    if (all !== undefined) tellChannel(all, null, this.#leftOutTexts(leftOut));
  }

  #textsOf(notice: FeedNotice): Texts {
    const now = new Date();
    return new Texts((form) => form.feed(notice, now, this.#options.epoch()));
  }

  #leftOutTexts(leftOut: LeftOutFeeds): Texts {
    return new Texts((form) => form.feedsLeftOut(leftOut, this.#options.epoch()));
  }
}

/** @param type null: whatever they watch. */
function tellChannel(channel: Channel, type: string | null, texts: Texts): void {
  if (type === null) channel.publish(texts);
  else channel.publishUpdate(type, texts, 0);
  for (const { state, filter, subscriber } of channel.notListening)
    if (state === "direct" && (type === null || matches(filter, type)))
      subscriber.send(texts.of(subscriber.form));
}
