/** Those who watch one ticker, or all of them: who listens to which topic, and to whom updates are handed one by one. */
import type { Beat } from "./beat.ts";
import type { Subscription } from "./subscriber.ts";
import { matches, type TypeFilter } from "./type-filter.ts";

interface Topic {
  filter: TypeFilter;
  name: string;
  listeners: number;
}

export class Channel {
  /** Or ALL_TICKERS. */
  readonly ticker: string;
  readonly subscriptions = new Set<Subscription>();
  readonly handed = new Set<Subscription>();
  beat: Beat | null = null;
  /** Of a ticker: its position when it was opened. Its feed may still be before that, for those who watch all. */
  openedAt = 0;
  isReady = false;
  /** `ready` was rejected. */
  failed = false;
  /** Settles when commits come here and the positions are known. */
  ready: Promise<void> = Promise.resolve();
  readonly #publish: (topic: string, text: string) => void;
  readonly #topics = new Map<string, Topic>();

  constructor(ticker: string, publish: (topic: string, text: string) => void) {
    this.ticker = ticker;
    this.#publish = publish;
  }

  /** To all that listen. */
  publish(text: string): void {
    for (const { name } of this.#topics.values()) this.#publish(name, text);
  }

  /** To those that listen to updates of the type. */
  publishUpdate(type: string, text: string): void {
    for (const { filter, name } of this.#topics.values())
      if (matches(filter, type)) this.#publish(name, text);
  }

  hand(subscription: Subscription): void {
    subscription.state = "handed";
    this.handed.add(subscription);
  }

  /** From here on it hears what is published. */
  listen(subscription: Subscription): void {
    this.handed.delete(subscription);
    subscription.state = "listening";
    const { filter, subscriber } = subscription;
    let topic = this.#topics.get(filter.key);
    if (topic === undefined) {
      topic = { filter, name: `${filter.key}${this.ticker}`, listeners: 0 };
      this.#topics.set(filter.key, topic);
    }
    topic.listeners++;
    subscriber.listen(topic.name);
  }

  unlisten({ filter, subscriber }: Subscription): void {
    const topic = this.#topics.get(filter.key);
    if (topic === undefined) return;
    subscriber.unlisten(topic.name);
    if (--topic.listeners === 0) this.#topics.delete(filter.key);
  }
}
