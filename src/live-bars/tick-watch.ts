/**
 * The updates of ticks of one type, of all tickers whose bars are watched in this worker. It is a
 * subscriber as a client is one, so no update is missed. It is always `slow`: updates are delivered
 * to it, and not to a topic.
 */
import type { Update } from "../storage/update-contract.ts";
import { SENT } from "../stream/frame-form.ts";
import type { Subscriber } from "../stream/subscriber.ts";
import type { Subscription } from "../stream/subscription.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { onlyTypes, type TypeFilter } from "../stream/type-filter.ts";
import { turn } from "../time/pauses.ts";
import { EVERYTHING, type Touched, touchedStamps } from "./touched-stamps.ts";

interface WatchedTicker {
  subscription: Subscription;
  users: number;
  ready: Promise<void>;
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
  readonly #tickers = new Map<string, WatchedTicker>();

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

  /** Counts one user more, also where it rejects. Resolves once every later update comes here. */
  enter(ticker: string): Promise<void> {
    let watched = this.#tickers.get(ticker);
    if (watched === undefined) {
      const { subscriptions } = this.#options;
      const subscription = subscriptions.open(this, ticker, this.#filter);
      const ready = subscriptions.begin(subscription, { kind: "now" });
      ready.catch(() => undefined);
      watched = { subscription, users: 0, ready };
      this.#tickers.set(ticker, watched);
    }
    watched.users++;
    return watched.ready;
  }

  leave(ticker: string): void {
    const watched = this.#tickers.get(ticker);
    if (watched === undefined || --watched.users > 0) return;
    this.#tickers.delete(ticker);
    this.#options.subscriptions.leave(watched.subscription);
  }

  deliver(ticker: string, { frame }: Update): void {
    this.#options.touched(ticker, touchedStamps(frame));
  }

  deliverGap(ticker: string): void {
    this.#options.touched(ticker, EVERYTHING);
  }

  recover(): void {}

  async room(): Promise<void> {
    await turn();
  }

  waitsFrom(): undefined {
    return undefined;
  }

  // Heartbeats and the snapshot after a gap are nobody's here, and while it is slow it has no topic.
  send(): void {}
  deliverSnapshot(): void {}
  hear(): void {}
  listen(): void {}
  unlisten(): void {}

  restart(): void {
    this.#options.restarted();
  }
}
