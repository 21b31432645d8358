/**
 * The subscriptions to one ticker, or to all. Most of them listen to topics; the others get each
 * update one by one.
 *
 * There may be hundreds of thousands of channels, most with one listener. So a sole listener is
 * sent to without a topic, for which Bun keeps 450 bytes.
 */
import type { Subscription } from "./subscription.ts";
import { matches, type TypeFilter } from "./type-filter.ts";

/** The listeners with one filter. */
interface Topic {
  filter: TypeFilter;
  listeners: number;
}

/** `new` until its first subscription begins. */
export type ChannelState = "new" | "opening" | "failed" | "open";

const NONE: ReadonlySet<Subscription> = new Set();

export class Channel {
  readonly ticker: string;
  state: ChannelState = "new";
  /**
   * Set while it opens, or after that failed. Settles when commits reach this worker and the
   * positions are known.
   */
  opening: Promise<void> | null = null;
  /**
   * The ticker's position when the channel opened. With subscribers to all tickers the feed may
   * still be before it.
   */
  openedAt = 0;
  /** When the next heartbeat is due: see Heartbeats. */
  beatMs = 0;
  readonly #publish: (topic: string, text: string) => void;
  /** The sole listener, subscribed to no topic. */
  #soleListener: Subscription | null = null;
  #topic: Topic | null = null;
  /** Topics of further filters. */
  #furtherTopics: Topic[] | null = null;
  /** Null when all listen, which is nearly always so. */
  #notListening: Set<Subscription> | null = null;

  constructor(ticker: string, publish: (topic: string, text: string) => void) {
    this.ticker = ticker;
    this.#publish = publish;
  }

  get size(): number {
    let size = this.#notListening?.size ?? 0;
    if (this.#soleListener !== null) size++;
    for (const { listeners } of this.#topics()) size += listeners;
    return size;
  }

  /** Subscriptions that join, and those that get updates one by one. */
  get notListening(): ReadonlySet<Subscription> {
    return this.#notListening ?? NONE;
  }

  publish(text: string): void {
    this.#soleListener?.subscriber.hear(text);
    for (const { filter } of this.#topics()) this.#publish(this.#name(filter), text);
  }

  publishUpdate(type: string, text: string): void {
    if (this.#soleListener !== null && matches(this.#soleListener.filter, type))
      this.#soleListener.subscriber.hear(text);
    for (const { filter } of this.#topics())
      if (matches(filter, type)) this.#publish(this.#name(filter), text);
  }

  /** It hears nothing before `listen` or `deliverDirectly`. */
  add(subscription: Subscription): void {
    this.#notListening ??= new Set();
    this.#notListening.add(subscription);
  }

  deliverDirectly(subscription: Subscription): void {
    if (subscription.state === "listening") this.#unlisten(subscription);
    subscription.state = "direct";
    this.add(subscription);
  }

  listen(subscription: Subscription): void {
    this.#deleteNotListening(subscription);
    subscription.state = "listening";
    if (this.#soleListener === null && this.#topic === null) {
      this.#soleListener = subscription;
      return;
    }
    const sole = this.#soleListener;
    this.#soleListener = null;
    if (sole !== null) this.#join(sole);
    this.#join(subscription);
  }

  refilter(subscription: Subscription, filter: TypeFilter): void {
    const isListening = subscription.state === "listening";
    if (isListening) this.#unlisten(subscription);
    subscription.filter = filter;
    if (isListening) this.listen(subscription);
  }

  remove(subscription: Subscription): void {
    if (subscription.state === "listening") this.#unlisten(subscription);
    else this.#deleteNotListening(subscription);
    subscription.state = "left";
  }

  #join({ filter, subscriber }: Subscription): void {
    let topic = this.#topicOf(filter);
    if (topic === undefined) {
      topic = { filter, listeners: 0 };
      if (this.#topic === null) this.#topic = topic;
      else this.#furtherTopics = [...(this.#furtherTopics ?? []), topic];
    }
    topic.listeners++;
    subscriber.listen(this.#name(filter));
  }

  #unlisten(subscription: Subscription): void {
    if (this.#soleListener === subscription) {
      this.#soleListener = null;
      return;
    }
    const { filter, subscriber } = subscription;
    const topic = this.#topicOf(filter);
    if (topic === undefined) return;
    subscriber.unlisten(this.#name(filter));
    if (--topic.listeners > 0) return;
    const others = (this.#furtherTopics ?? []).filter((one) => one !== topic);
    if (this.#topic === topic) this.#topic = others.shift() ?? null;
    this.#furtherTopics = others.length === 0 ? null : others;
  }

  #topicOf(filter: TypeFilter): Topic | undefined {
    for (const topic of this.#topics()) if (topic.filter.key === filter.key) return topic;
    return undefined;
  }

  *#topics(): Iterable<Topic> {
    if (this.#topic === null) return;
    yield this.#topic;
    if (this.#furtherTopics !== null) yield* this.#furtherTopics;
  }

  /** Computed each time, as keeping it costs more. The key is JSON: it shows where it ends. */
  #name(filter: TypeFilter): string {
    return filter.key + this.ticker;
  }

  #deleteNotListening(subscription: Subscription): void {
    this.#notListening?.delete(subscription);
    if (this.#notListening?.size === 0) this.#notListening = null;
  }
}
