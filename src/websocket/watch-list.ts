/** The subscriptions of one client, by ticker. */
import type { CheckTickers } from "../commands/context.ts";
import { STATUS } from "../protocol/codes.ts";
import { hasStatus, RequestError } from "../protocol/errors.ts";
import { ALL_TICKERS, type Subscriber } from "../stream/subscriber.ts";
import type { Subscription } from "../stream/subscription.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { shownTypes, type TypeFilter, union } from "../stream/type-filter.ts";
import { MessageError, TYPES_MAX, type Wish } from "./live-request.ts";
import type { SubscriptionQuota } from "./subscription-quota.ts";

export interface WatchListOptions {
  subscriber: Subscriber;
  address: string;
  subscriptions: Subscriptions;
  quota: SubscriptionQuota;
  /** Null: the client may watch every ticker. */
  checkTickers: CheckTickers | null;
  symbolsMax: number;
  /** Names of the timeframes of the bars that it listens to. */
  barsOf(ticker: string): string[];
}

export class WatchList implements Iterable<Subscription> {
  readonly #options: WatchListOptions;
  readonly #byTicker = new Map<string, Subscription>();

  constructor(options: WatchListOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byTicker.size;
  }

  [Symbol.iterator](): Iterator<Subscription> {
    return this.#byTicker.values();
  }

  get(ticker: string): Subscription | undefined {
    return this.#byTicker.get(ticker);
  }

  isCurrent(subscription: Subscription): boolean {
    return this.#byTicker.get(subscription.ticker) === subscription;
  }

  /** @throws MessageError the wish conflicts with current subscriptions, or exceeds a limit. */
  check(wish: Wish): void {
    const { symbolsMax, quota, address } = this.#options;
    const wantsAll = wish.tickers[0] === ALL_TICKERS;
    if (this.size > 0 && this.#byTicker.has(ALL_TICKERS) !== wantsAll) {
      throw new MessageError(
        "bad_message",
        wantsAll
          ? 'symbols: got "*" beside single tickers: unsubscribe them first'
          : 'symbols: all tickers are subscribed to already: unsubscribe "*" first',
      );
    }
    for (const ticker of wish.tickers) {
      const before = this.#byTicker.get(ticker);
      if (before !== undefined) checkTypes(union(before.filter, wish.filter), ticker);
    }
    const added = wish.tickers.filter((ticker) => !this.#byTicker.has(ticker));
    if (this.size + added.length > symbolsMax) throw tooMany(symbolsMax, added.length);
    try {
      this.#options.checkTickers?.(added);
      quota.check(address, added);
    } catch (error) {
      if (hasStatus(error, STATUS.forbidden)) throw new MessageError("not_allowed", error.message);
      if (error instanceof RequestError) throw new MessageError("too_many_subscriptions", error.message);
      throw error;
    }
  }

  open(ticker: string, filter: TypeFilter): Subscription {
    const { subscriptions, subscriber, quota, address } = this.#options;
    const subscription = subscriptions.open(subscriber, ticker, filter);
    if (!this.#byTicker.has(ticker)) quota.add(address, 1);
    // The key is the channel's string, so that all clients share one copy.
    this.#byTicker.set(subscription.ticker, subscription);
    return subscription;
  }

  leave(subscription: Subscription): void {
    this.#options.subscriptions.leave(subscription);
    const { quota, address } = this.#options;
    if (this.isCurrent(subscription) && this.#byTicker.delete(subscription.ticker)) quota.add(address, -1);
  }

  leaveAll(): void {
    for (const subscription of this.#byTicker.values()) this.#options.subscriptions.leave(subscription);
    this.#options.quota.add(this.#options.address, -this.size);
    this.#byTicker.clear();
  }

  firstTickers(count: number): string[] {
    const names: string[] = [];
    for (const ticker of this.#byTicker.keys()) if (names.push(shownTicker(ticker)) === count) break;
    return names;
  }

  get shown(): string {
    const names = this.firstTickers(3);
    return names.length === 0 ? "nothing" : names.join(", ") + (this.size > 3 ? ", …" : "");
  }

  /** The frame that tells the client its subscriptions. */
  frame(epoch: string): string {
    const list = [...this.#byTicker.values()].map(({ ticker, filter }) => {
      const bars = this.#options.barsOf(ticker);
      return {
        symbol: shownTicker(ticker),
        types: shownTypes(filter),
        ...(bars.length === 0 ? {} : { bars }),
      };
    });
    return JSON.stringify({ type: "subscription", epoch, subscriptions: list });
  }
}

/** Repeated messages may add or take back types one by one. @throws MessageError too many. */
export function checkTypes({ names }: TypeFilter, ticker: string): void {
  if (names.length <= TYPES_MAX) return;
  throw new MessageError(
    "bad_message",
    `types: got ${names.length} for ${shownTicker(ticker)} with those before, expected at most ${TYPES_MAX}`,
  );
}

export function tooMany(symbolsMax: number, added: number): MessageError {
  return new MessageError(
    "too_many_symbols",
    `symbols: got ${added} more, expected at most ${symbolsMax} on one connection (--ws-symbols-max)`,
  );
}

export function shownTicker(ticker: string): string {
  return ticker === ALL_TICKERS ? "*" : ticker;
}
