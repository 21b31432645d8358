/**
 * Which sockets of this worker watch which ticker, their heartbeats, and the order of their first frames.
 *
 * Knows neither sockets nor storage: a `Subscriber` takes text, `publish` reaches all of a ticker at once.
 */
import { heartbeatFrame, initialPriceFrame } from "../protocol/frames.ts";

export interface Subscriber {
  send(text: string): void;
  /** From here on `publish` of the ticker reaches it. */
  listen(ticker: string): void;
  /** It may have missed updates, and has to connect again. */
  restart(): void;
  readonly open: boolean;
}

export interface SubscriptionsOptions {
  heartbeatIntervalMs: number;
  /** To every listening subscriber of the ticker. */
  publish(ticker: string, text: string): void;
  /** Resolves when every later commit to the ticker will be published here. */
  watch(ticker: string): Promise<void>;
  unwatch(ticker: string): void;
  latestPrice(ticker: string): number | null | Promise<number | null>;
}

interface Topic {
  subscribers: Set<Subscriber>;
  /** Updates published while a subscriber's first price is being read, which must come before them. */
  joining: Map<Subscriber, string[]>;
  /** Settles when the hub has confirmed; later subscribers of the ticker wait for the same. */
  watched: Promise<void>;
  heartbeat: Timer | null;
  nextHeartbeatMs: number;
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #topics = new Map<string, Topic>();

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  get size(): number {
    let count = 0;
    for (const topic of this.#topics.values()) count += topic.subscribers.size;
    return count;
  }

  /**
   * First frame: the latest price, if one is known; then heartbeats and every update committed after that price was read.
   * An update may both be in the first price and follow as a frame; none is in neither.
   */
  async join(ticker: string, subscriber: Subscriber): Promise<void> {
    const topic = this.#topicOf(ticker);
    topic.subscribers.add(subscriber);
    try {
      await topic.watched;
    } catch (error) {
      this.leave(ticker, subscriber);
      throw error;
    }
    const held: string[] = [];
    topic.joining.set(subscriber, held);
    let price: number | null;
    try {
      price = await this.#options.latestPrice(ticker);
    } finally {
      topic.joining.delete(subscriber);
    }
    if (!subscriber.open) return;
    if (price !== null) subscriber.send(initialPriceFrame(ticker, price, new Date()));
    for (const text of held) subscriber.send(text);
    subscriber.listen(ticker);
    // At once to each: then it knows that it is subscribed, also where there is no price.
    if (topic.heartbeat === null) this.#startHeartbeat(ticker, topic);
    else subscriber.send(heartbeatFrame(ticker, new Date()));
  }

  /** An update of the ticker, in commit order. */
  deliver(ticker: string, text: string): void {
    const topic = this.#topics.get(ticker);
    if (topic === undefined) return;
    for (const held of topic.joining.values()) held.push(text);
    this.#options.publish(ticker, text);
  }

  /** Updates of the ticker may have been missed: whoever has joined, or is just joining, has to connect again. */
  restart(ticker: string): void {
    for (const subscriber of [...(this.#topics.get(ticker)?.subscribers ?? [])]) subscriber.restart();
  }

  leave(ticker: string, subscriber: Subscriber): void {
    const topic = this.#topics.get(ticker);
    if (topic === undefined || !topic.subscribers.delete(subscriber)) return;
    if (topic.subscribers.size > 0) return;
    if (topic.heartbeat !== null) clearTimeout(topic.heartbeat);
    this.#topics.delete(ticker);
    this.#options.unwatch(ticker);
  }

  /** No more heartbeats; the sockets are being closed. */
  stop(): void {
    for (const topic of this.#topics.values()) if (topic.heartbeat !== null) clearTimeout(topic.heartbeat);
  }

  #topicOf(ticker: string): Topic {
    let topic = this.#topics.get(ticker);
    if (topic === undefined) {
      topic = {
        subscribers: new Set(),
        joining: new Map(),
        watched: this.#options.watch(ticker),
        heartbeat: null,
        nextHeartbeatMs: 0,
      };
      this.#topics.set(ticker, topic);
    }
    return topic;
  }

  /** One clock a ticker: at once for its first subscriber, then on a fixed schedule that doesn't drift. */
  #startHeartbeat(ticker: string, topic: Topic): void {
    topic.nextHeartbeatMs = performance.now();
    const beat = (): void => {
      if (this.#topics.get(ticker) !== topic) return;
      this.#options.publish(ticker, heartbeatFrame(ticker, new Date()));
      const now = performance.now();
      const interval = this.#options.heartbeatIntervalMs;
      // A suspended machine skips beats instead of sending them all at once.
      topic.nextHeartbeatMs += interval * Math.max(1, Math.floor((now - topic.nextHeartbeatMs) / interval));
      topic.heartbeat = setTimeout(beat, Math.max(0, topic.nextHeartbeatMs - now));
    };
    beat();
  }
}
