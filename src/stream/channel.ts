/** Those who watch one ticker, or all of them: who listens to which topic, and to whom updates are handed one by one. */
import type { Subscription } from "./subscription.ts";
import { matches, type TypeFilter } from "./type-filter.ts";

interface Topic {
  filter: TypeFilter;
  name: string;
  listeners: number;
}

const NONE: ReadonlySet<Subscription> = new Set();

export class Channel {
  /** Or ALL_TICKERS. */
  readonly ticker: string;
  /** When the next heartbeat is due: see Heartbeats. */
  beatMs = 0;
  /** Of a ticker: its position when it was opened. Its feed may still be before that, for those who watch all. */
  openedAt = 0;
  /** Settles when commits come here and the positions are known; null before its first subscription begins. */
  ready: Promise<void> | null = null;
  isReady = false;
  /** `ready` was rejected. */
  failed = false;
  readonly #publish: (topic: string, text: string) => void;
  /** Usually one. */
  readonly #topics: Topic[] = [];
  /** Those that don't listen. Null where all do, as they do nearly always. */
  #apart: Set<Subscription> | null = null;
  #listening = 0;

  constructor(ticker: string, publish: (topic: string, text: string) => void) {
    this.ticker = ticker;
    this.#publish = publish;
  }

  get size(): number {
    return this.#listening + (this.#apart?.size ?? 0);
  }

  get listeners(): number {
    return this.#listening;
  }

  /** Those that join, and those to whom updates are handed one by one. */
  get apart(): ReadonlySet<Subscription> {
    return this.#apart ?? NONE;
  }

  /** To all that listen. */
  publish(text: string): void {
    for (const { name } of this.#topics) this.#publish(name, text);
  }

  /** To those that listen to updates of the type. */
  publishUpdate(type: string, text: string): void {
    for (const { filter, name } of this.#topics) if (matches(filter, type)) this.#publish(name, text);
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
    this.#listening++;
    const { filter, subscriber } = subscription;
    let topic = this.#topics.find((one) => one.filter.key === filter.key);
    if (topic === undefined) {
      topic = { filter, name: `${filter.key}${this.ticker}`, listeners: 0 };
      this.#topics.push(topic);
    }
    topic.listeners++;
    subscriber.listen(topic.name);
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

  #unlisten({ filter, subscriber }: Subscription): void {
    this.#listening--;
    const at = this.#topics.findIndex((one) => one.filter.key === filter.key);
    const topic = this.#topics[at];
    if (topic === undefined) return;
    subscriber.unlisten(topic.name);
    if (--topic.listeners === 0) this.#topics.splice(at, 1);
  }

  #deleteApart(subscription: Subscription): void {
    this.#apart?.delete(subscription);
    if (this.#apart?.size === 0) this.#apart = null;
  }
}
