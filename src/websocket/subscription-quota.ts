/** Bounds the subscriptions of a worker's WebSockets: in all, per address, and in tickers. */
import { tooMany, unavailable } from "../protocol/errors.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";

const LATER = { retryAfterS: 5 };

export interface SubscriptionQuotaOptions {
  subscriptions: Pick<Subscriptions, "channels" | "isWatched">;
  subscriptionsMax: number;
  perAddressMax: number;
  tickersMax: number;
}

export class SubscriptionQuota {
  readonly #options: SubscriptionQuotaOptions;
  readonly #counts = new Map<string, number>();
  #total = 0;

  constructor(options: SubscriptionQuotaOptions) {
    this.#options = options;
  }

  /**
   * @param tickers that the client has no subscription to yet.
   * @throws RequestError 429 the address would have too many, 503 the worker would.
   */
  check(address: string, tickers: readonly string[]): void {
    const { subscriptions, subscriptionsMax, perAddressMax, tickersMax } = this.#options;
    const more = tickers.length;
    const ofAddress = this.#counts.get(address) ?? 0;
    if (ofAddress + more > perAddressMax)
      throw tooMany(
        `symbols: got ${more} more, but ${address} has ${ofAddress} subscriptions already, expected at most ${perAddressMax} in one worker (--ws-subscriptions-per-address)`,
        LATER,
      );
    if (this.#total + more > subscriptionsMax)
      throw unavailable(
        `symbols: got ${more} more, but the clients of this worker have ${this.#total} subscriptions already, expected at most ${subscriptionsMax} (--ws-subscriptions-max)`,
        LATER,
      );
    const unwatched = tickers.filter((ticker) => !subscriptions.isWatched(ticker)).length;
    if (unwatched > 0 && subscriptions.channels + unwatched > tickersMax)
      throw unavailable(
        `symbols: got ${unwatched} more that nobody watches, but ${subscriptions.channels} are watched in this worker already, expected at most ${tickersMax} (--ws-tickers-max)`,
        LATER,
      );
  }

  add(address: string, count: number): void {
    this.#total += count;
    const ofAddress = (this.#counts.get(address) ?? 0) + count;
    if (ofAddress > 0) this.#counts.set(address, ofAddress);
    else this.#counts.delete(address);
  }
}
