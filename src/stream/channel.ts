/**
 * Those who watch one ticker, or all of them: who hears what is published, and to whom updates are
 * handed one by one.
 *
 * DESIGN. There may be hundreds of thousands of channels, most with one listener. So a listener
 * that is alone is sent to without a topic, for which Bun keeps 450 bytes.
 */
import type { Subscription } from "./subscription.ts";
import { matches, type TypeFilter } from "./type-filter.ts";

/** Those who listen with the same filter. */
interface Topic {
  filter: TypeFilter;
  listeners: number;
}

/** New: none of its subscriptions has begun. */
export type ChannelState = "new" | "opening" | "failed" | "open";

const NONE: ReadonlySet<Subscription> = new Set();

export class Channel {
  /** Or ALL_TICKERS. */
  readonly ticker: string;
  state: ChannelState = "new";
  /**
   * Of one that is opening, or has failed: settles when commits come here and the positions are
   * known.
   */
  opening: Promise<void> | null = null;
  /**
   * Of a ticker: its position when it was opened. Its feed may still be before that, for those who
   * watch all.
   */
  openedAt = 0;
  /** When the next heartbeat is due: see Heartbeats. */
  beatMs = 0;
  readonly #publish: (topic: string, text: string) => void;
  /** The only one that listens, and is subscribed to no topic. */
  #alone: Subscription | null = null;
  #topic: Topic | null = null;
  /** Of other filters. */
  #others: Topic[] | null = null;
  /** Those that don't listen. Null where all do, as they do nearly always. */
  #apart: Set<Subscription> | null = null;

  constructor(ticker: string, publish: (topic: string, text: string) => void) {
    this.ticker = ticker;
    this.#publish = publish;
  }

  get size(): number {
    let size = this.#apart?.size ?? 0;
    if (this.#alone !== null) size++;
    for (const { listeners } of this.#topics()) size += listeners;
    return size;
  }

  /** Those that join, and those to whom updates are handed one by one. */
  get apart(): ReadonlySet<Subscription> {
    return this.#apart ?? NONE;
  }

  /** To all that listen. */
  publish(text: string): void {
    this.#alone?.subscriber.hear(text);
    for (const { filter } of this.#topics()) this.#publish(this.#name(filter), text);
  }

  /** To those that listen to updates of the type. */
  publishUpdate(type: string, text: string): void {
    if (this.#alone !== null && matches(this.#alone.filter, type)) this.#alone.subscriber.hear(text);
    for (const { filter } of this.#topics())
      if (matches(filter, type)) this.#publish(this.#name(filter), text);
  }

  /** It hears nothing before it listens, or updates are handed to it. */
  add(subscription: Subscription): void {
    this.#apart ??= new Set();
    this.#apart.add(subscription);
  }

  hand(subscription: Subscription): void {
    if (subscription.state === "listening") this.#unlisten(subscription);
    subscription.state = "handed";
    this.add(subscription);
  }

  /** From here on it hears what is published. */
  listen(subscription: Subscription): void {
    this.#deleteApart(subscription);
    subscription.state = "listening";
    if (this.#alone === null && this.#topic === null) {
      this.#alone = subscription;
      return;
    }
    const alone = this.#alone;
    this.#alone = null;
    if (alone !== null) this.#join(alone);
    this.#join(subscription);
  }

  /** One that listens hears what the filter lets through from here on. */
  refilter(subscription: Subscription, filter: TypeFilter): void {
    const isListening = subscription.state === "listening";
    if (isListening) this.#unlisten(subscription);
    subscription.filter = filter;
    if (isListening) this.listen(subscription);
  }

  remove(subscription: Subscription): void {
    if (subscription.state === "listening") this.#unlisten(subscription);
    else this.#deleteApart(subscription);
    subscription.state = "left";
  }

  #join({ filter, subscriber }: Subscription): void {
    let topic = this.#topicOf(filter);
    if (topic === undefined) {
      topic = { filter, listeners: 0 };
      if (this.#topic === null) this.#topic = topic;
      else this.#others = [...(this.#others ?? []), topic];
    }
    topic.listeners++;
    subscriber.listen(this.#name(filter));
  }

  #unlisten(subscription: Subscription): void {
    if (this.#alone === subscription) {
      this.#alone = null;
      return;
    }
    const { filter, subscriber } = subscription;
    const topic = this.#topicOf(filter);
    if (topic === undefined) return;
    subscriber.unlisten(this.#name(filter));
    if (--topic.listeners > 0) return;
    const others = (this.#others ?? []).filter((one) => one !== topic);
    if (this.#topic === topic) this.#topic = others.shift() ?? null;
    this.#others = others.length === 0 ? null : others;
  }

  #topicOf(filter: TypeFilter): Topic | undefined {
    for (const topic of this.#topics()) if (topic.filter.key === filter.key) return topic;
    return undefined;
  }

  *#topics(): Iterable<Topic> {
    if (this.#topic === null) return;
    yield this.#topic;
    if (this.#others !== null) yield* this.#others;
  }

  /**
   * Made when it is needed, which is cheaper than to keep it. The key is JSON: where it ends is
   * known.
   */
  #name(filter: TypeFilter): string {
    return filter.key + this.ticker;
  }

  #deleteApart(subscription: Subscription): void {
    this.#apart?.delete(subscription);
    if (this.#apart?.size === 0) this.#apart = null;
  }
}
