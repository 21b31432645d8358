/**
 * The updates of ticks of one type, of all tickers whose bars are watched in this worker. It is a
 * subscriber as a client is one, so no update is missed. It is always `slow`: updates are delivered
 * to it, and not to a topic.
 */

import { RequestError } from "../protocol/errors.ts";
import type { Update } from "../storage/update-contract.ts";
import { SENT } from "../stream/frame-form.ts";
import type { Subscriber } from "../stream/subscriber.ts";
import type { Subscription } from "../stream/subscription.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { onlyTypes, type TypeFilter } from "../stream/type-filter.ts";
import { turn } from "../time/pauses.ts";
import { EVERYTHING, type Touched, touchedStamps } from "./touched-stamps.ts";

const BEGIN_WAIT_MAX_MS = 10_000;
const BEGIN_RETRY_MS = 250;

interface WatchedTicks {
  ticker: string;
  subscription: Subscription;
  users: number;
  ready: Promise<void>;
}

export interface EnteredTicks {
  /** Resolves once every later update comes here. */
  ready: Promise<void>;
  /** Call it once, also where it has rejected. */
  leave(): void;
}

export interface TickWatchOptions {
  subscriptions: Subscriptions;
  type: "trade" | "quote";
  /** Called for each update in order. */
  touched(ticker: string, touched: Touched): void;
  /** The database is another one. */
  restarted(): void;
}

export class TickWatch implements Subscriber {
  readonly open = true;
  readonly slow = true;
  readonly form = SENT;
  readonly hearsAlone = true;
  readonly #options: TickWatchOptions;
  readonly #filter: TypeFilter;
  readonly #tickers = new Map<string, WatchedTicks>();

  constructor(options: TickWatchOptions) {
    this.#options = options;
    this.#filter = onlyTypes([options.type]);
  }

  get subscriptions(): Iterable<Subscription> {
    return [...this.#tickers.values()].map(({ subscription }) => subscription);
  }

  subscriptionTo(ticker: string): Subscription | undefined {
    return this.#tickers.get(ticker)?.subscription;
  }

  enter(ticker: string): EnteredTicks {
    let watched = this.#tickers.get(ticker);
    if (watched === undefined) {
      const subscription = this.#options.subscriptions.open(this, ticker, this.#filter);
      watched = { ticker, subscription, users: 0, ready: Promise.resolve() };
      this.#tickers.set(ticker, watched);
      watched.ready = this.#begin(watched);
      watched.ready.catch(() => undefined);
    }
    watched.users++;
    const entered = watched;
    return { ready: entered.ready, leave: () => this.#leave(entered) };
  }

  #leave(watched: WatchedTicks): void {
    if (--watched.users > 0) return;
    if (this.#isCurrent(watched)) this.#tickers.delete(watched.ticker);
    this.#options.subscriptions.leave(watched.subscription);
  }

  #isCurrent(watched: WatchedTicks): boolean {
    return this.#tickers.get(watched.ticker) === watched;
  }

  /** Tries again while the hub or the database is away. */
  async #begin(watched: WatchedTicks): Promise<void> {
    const { subscriptions } = this.#options;
    const deadline = performance.now() + BEGIN_WAIT_MAX_MS;
    for (;;) {
      try {
        await subscriptions.begin(watched.subscription, { kind: "now" });
        return;
      } catch (error) {
        if (!(error instanceof RequestError) || performance.now() > deadline) throw error;
        await Bun.sleep(BEGIN_RETRY_MS);
        if (!this.#isCurrent(watched)) return;
        watched.subscription = subscriptions.open(this, watched.ticker, this.#filter);
      }
    }
  }

  deliver(ticker: string, { frame }: Update): void {
    this.#options.touched(ticker, touchedStamps(frame));
  }

  deliverGap(ticker: string): void {
    this.#options.touched(ticker, EVERYTHING);
  }

  /** Of the time in which it begins. */
  recover(text: string): void {
    const { symbol } = JSON.parse(text) as { symbol: string };
    this.#options.touched(symbol, touchedStamps(text));
  }

  async room(): Promise<void> {
    await turn();
  }

  waitsFrom(): undefined {
    return undefined;
  }

  // Heartbeats and snapshots are nobody's here, and while it is slow it has no topic.
  send(): void {}
  deliverSnapshot(): void {}
  hear(): void {}
  listen(): void {}
  unlisten(): void {}

  restart(): void {
    this.#tickers.clear();
    this.#options.restarted();
  }
}
