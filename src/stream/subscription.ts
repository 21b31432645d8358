/**
 * One subscriber's interest in one ticker, or in all. There may be a million of them, so the state
 * for catching up exists only until the subscription listens like all others.
 */
import type { Channel } from "./channel.ts";
import { ALL_TICKERS, type Subscriber } from "./subscriber.ts";
import type { TypeFilter } from "./type-filter.ts";

/** Joining: reads what it missed. Direct: gets updates one by one. Listening: through the topic. */
export type SubscriptionState = "joining" | "direct" | "listening" | "left";

/** How the subscription differs from the feeds, by ticker. */
interface OwnProgress {
  /** Positions beyond the feed's, from a snapshot or the log. */
  ahead: Map<string, number>;
  /** How far it has read each ticker that it still reads; null: it was sent nothing yet. */
  reading: Map<string, number | null>;
  /** Tickers that moved since a subscription to all last listened or got a heartbeat. */
  moved: Set<string>;
}

export class Subscription {
  readonly channel: Channel;
  readonly subscriber: Subscriber;
  filter: TypeFilter;
  state: SubscriptionState = "joining";
  #progress: OwnProgress | null = null;

  constructor(channel: Channel, subscriber: Subscriber, filter: TypeFilter) {
    this.channel = channel;
    this.subscriber = subscriber;
    this.filter = filter;
  }

  get ticker(): string {
    return this.channel.ticker;
  }

  /** Check it after every wait. */
  get hasLeft(): boolean {
    return this.state === "left";
  }

  /** How far it has read the ticker; null: it was sent nothing yet; undefined: it reads nothing. */
  readTo(ticker: string): number | null | undefined {
    if (this.#progress !== null) return this.#progress.reading.get(ticker);
    return this.state === "joining" && ticker === this.ticker && ticker !== ALL_TICKERS ? null : undefined;
  }

  isReading(ticker: string): boolean {
    return this.readTo(ticker) !== undefined;
  }

  tickersBeingRead(): string[] {
    return [...(this.#progress?.reading.keys() ?? [])];
  }

  setReadTo(ticker: string, position: number | null): void {
    this.#makeProgress().reading.set(ticker, position);
  }

  /** The subscription has everything up to `position`, and the feed has delivered `delivered`. */
  hasCaughtUp(ticker: string, position: number, delivered: number): void {
    const progress = this.#makeProgress();
    progress.reading.delete(ticker);
    if (position > delivered) progress.ahead.set(ticker, position);
  }

  /** The position that it has beyond the feed's; 0 if none. */
  ahead(ticker: string): number {
    return this.#progress?.ahead.get(ticker) ?? 0;
  }

  isAhead(ticker: string, position: number): boolean {
    return position <= this.ahead(ticker);
  }

  noteMoved(ticker: string): void {
    this.#makeProgress().moved.add(ticker);
  }

  takeMoved(): string[] {
    const moved = [...(this.#progress?.moved ?? [])];
    this.#progress?.moved.clear();
    return moved;
  }

  /** Whether it has exactly what the feeds have delivered. */
  isUpToDate(delivered: (ticker: string) => number): boolean {
    if (this.#progress === null) return true;
    const { ahead, reading } = this.#progress;
    if (reading.size > 0) return false;
    for (const [ticker, position] of ahead) {
      if (position > delivered(ticker)) return false;
      ahead.delete(ticker);
    }
    return true;
  }

  forgetOwnProgress(): void {
    this.#progress = null;
  }

  #makeProgress(): OwnProgress {
    this.#progress ??= { ahead: new Map(), reading: new Map(), moved: new Set() };
    return this.#progress;
  }
}
