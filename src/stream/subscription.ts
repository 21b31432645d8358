/**
 * One subscriber's interest in one ticker, or in all. There may be a million of them: what one has
 * only while it reads what it missed, or is told of updates one by one, is kept apart and given up
 * when it listens like all the others.
 */
import type { Channel } from "./channel.ts";
import { ALL_TICKERS, type Subscriber } from "./subscriber.ts";
import type { TypeFilter } from "./type-filter.ts";

/** Joining: reads what it missed. Handed: gets updates one by one. Listening: through the topic. */
export type SubscriptionState = "joining" | "handed" | "listening" | "left";

/** Where it is not where the feeds are, by ticker. */
interface Apart {
  /** Positions that it has beyond those of the feed: from a snapshot or the log. */
  ahead: Map<string, number>;
  /**
   * Tickers that it is still reading from the log, and how far it has come; null: it has been told
   * nothing yet.
   */
  behind: Map<string, number | null>;
  /**
   * Of a subscription to all: tickers that have moved since it last listened, of which no heartbeat
   * has told it.
   */
  moved: Set<string>;
}

export class Subscription {
  readonly channel: Channel;
  readonly subscriber: Subscriber;
  filter: TypeFilter;
  state: SubscriptionState = "joining";
  #apart: Apart | null = null;

  constructor(channel: Channel, subscriber: Subscriber, filter: TypeFilter) {
    this.channel = channel;
    this.subscriber = subscriber;
    this.filter = filter;
  }

  /** Or ALL_TICKERS. */
  get ticker(): string {
    return this.channel.ticker;
  }

  /** It may have done so during any wait. */
  get hasLeft(): boolean {
    return this.state === "left";
  }

  /**
   * How far it has come in reading the ticker; null: it has been told nothing yet; undefined: it
   * reads nothing of it.
   */
  behind(ticker: string): number | null | undefined {
    if (this.#apart !== null) return this.#apart.behind.get(ticker);
    // Before it has begun.
    return this.state === "joining" && ticker === this.ticker && ticker !== ALL_TICKERS ? null : undefined;
  }

  isBehind(ticker: string): boolean {
    return this.behind(ticker) !== undefined;
  }

  /** Tickers that it is still reading from the log. */
  behindTickers(): string[] {
    return [...(this.#apart?.behind.keys() ?? [])];
  }

  setBehind(ticker: string, position: number | null): void {
    this.#setApart().behind.set(ticker, position);
  }

  /**
   * It has everything of the ticker up to the position.
   *
   * @param delivered up to where the feed has told it.
   */
  hasCaughtUp(ticker: string, position: number, delivered: number): void {
    const apart = this.#setApart();
    apart.behind.delete(ticker);
    if (position > delivered) apart.ahead.set(ticker, position);
  }

  /** The position that it has beyond that of the feed; 0 where it has none. */
  ahead(ticker: string): number {
    return this.#apart?.ahead.get(ticker) ?? 0;
  }

  isAhead(ticker: string, position: number): boolean {
    return position <= this.ahead(ticker);
  }

  noteMoved(ticker: string): void {
    this.#setApart().moved.add(ticker);
  }

  /** Those noted since it was called last. */
  takeMoved(): string[] {
    const moved = [...(this.#apart?.moved ?? [])];
    this.#apart?.moved.clear();
    return moved;
  }

  /**
   * Whether it has exactly what the feeds have delivered.
   *
   * @param delivered the position of a feed.
   */
  isEven(delivered: (ticker: string) => number): boolean {
    if (this.#apart === null) return true;
    const { ahead, behind } = this.#apart;
    if (behind.size > 0) return false;
    for (const [ticker, position] of ahead) {
      if (position > delivered(ticker)) return false;
      ahead.delete(ticker);
    }
    return true;
  }

  /** It is where the feeds are, and has been told so. */
  forgetApart(): void {
    this.#apart = null;
  }

  #setApart(): Apart {
    this.#apart ??= { ahead: new Map(), behind: new Map(), moved: new Set() };
    return this.#apart;
  }
}
