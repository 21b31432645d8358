/** The subscription to the updates of all tickers, which clients and roll-ups share. */
import type { UpdateSource } from "../storage/engine.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";

export type AllTickersUser = "clients" | "rollups";

export class AllTickers {
  readonly #source: () => UpdateSource;
  readonly #users = new Set<AllTickersUser>();

  constructor(source: () => UpdateSource) {
    this.#source = source;
  }

  subscribe(user: AllTickersUser): Promise<void> {
    this.#users.add(user);
    return this.#source().subscribe(ALL_TICKERS);
  }

  unsubscribe(user: AllTickersUser): void {
    if (this.#users.delete(user) && this.#users.size === 0) this.#source().unsubscribe(ALL_TICKERS);
  }
}
