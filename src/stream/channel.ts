/**
 * The subscriptions to one ticker, or to all. Most of them listen to topics; the others get each
 * update one by one.
 *
 * There may be hundreds of thousands of channels, most with one listener. So a sole listener is
 * sent to without a topic, for which Bun keeps 450 bytes.
 */
import type { FrameForm, Texts } from "./frame-form.ts";
import { ALL_TICKERS } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import { matches, type TypeFilter } from "./type-filter.ts";

/** The listeners with one form of frames and one filter. */
interface Topic {
  form: FrameForm;
  filter: TypeFilter;
  listeners: number;
}

/** `new` until its first subscription begins. */
export type ChannelState = "new" | "opening" | "failed" | "open";

/**
 * Sends a frame to all listeners of a topic.
 * @param to how many they are, and 1 for an update.
 */
export type Publish = (topic: string, text: string, to: { listeners: number; rows: number }) => void;

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
  readonly #publish: Publish;
  /** The sole listener, subscribed to no topic. */
  #soleListener: Subscription | null = null;
  #topic: Topic | null = null;
  /** Topics of further filters. */
  #furtherTopics: Topic[] | null = null;
  /** Listeners that can't subscribe to topics. Null when there are none. */
  #alone: Set<Subscription> | null = null;
  /** Null when all listen, which is nearly always so. */
  #notListening: Set<Subscription> | null = null;

  constructor(ticker: string, publish: Publish) {
    this.ticker = ticker;
    this.#publish = publish;
  }

  get size(): number {
    let size = this.#notListening?.size ?? 0;
    if (this.#soleListener !== null) size++;
    size += this.#alone?.size ?? 0;
    for (const { listeners } of this.#topics()) size += listeners;
    return size;
  }

  /** Subscriptions that join, and those that get updates one by one. */
  get notListening(): ReadonlySet<Subscription> {
    return this.#notListening ?? NONE;
  }

  publish(texts: Texts): void {
    for (const { subscriber } of this.#hearers()) subscriber.hear(texts.of(subscriber.form), 0);
    for (const topic of this.#topics()) this.#tell(topic, texts, 0);
  }

  /** For those who get a heartbeat for each ticker. Subscribers to all get no other. */
  publishHeartbeat(texts: Texts): void {
    const isOfAll = this.ticker === ALL_TICKERS;
    for (const { subscriber } of this.#hearers())
      if (isOfAll || !subscriber.form.beatsOnce) subscriber.hear(texts.of(subscriber.form), 0);
    for (const topic of this.#topics()) if (isOfAll || !topic.form.beatsOnce) this.#tell(topic, texts, 0);
  }

  /** @param rows 0: it is no update, but goes to who gets those of the type. */
  publishUpdate(type: string, texts: Texts, rows = 1): void {
    for (const { subscriber, filter } of this.#hearers())
      if (matches(filter, type)) subscriber.hear(texts.of(subscriber.form), rows);
    for (const topic of this.#topics()) if (matches(topic.filter, type)) this.#tell(topic, texts, rows);
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
    if (subscription.subscriber.hearsAlone) {
      this.#alone ??= new Set();
      this.#alone.add(subscription);
      return;
    }
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

  #tell(topic: Topic, texts: Texts, rows: number): void {
    const { form, listeners } = topic;
    this.#publish(this.#name(topic), texts.of(form), { listeners, rows });
  }

  #join({ filter, subscriber }: Subscription): void {
    const { form } = subscriber;
    let topic = this.#topicOf(form, filter);
    if (topic === undefined) {
      topic = { form, filter, listeners: 0 };
      if (this.#topic === null) this.#topic = topic;
      else this.#furtherTopics = [...(this.#furtherTopics ?? []), topic];
    }
    topic.listeners++;
    subscriber.listen(this.#name(topic));
  }

  #unlisten(subscription: Subscription): void {
    if (this.#soleListener === subscription) {
      this.#soleListener = null;
      return;
    }
    if (this.#alone?.delete(subscription) === true) {
      if (this.#alone.size === 0) this.#alone = null;
      return;
    }
    const { filter, subscriber } = subscription;
    const topic = this.#topicOf(subscriber.form, filter);
    if (topic === undefined) return;
    subscriber.unlisten(this.#name(topic));
    if (--topic.listeners > 0) return;
    const others = (this.#furtherTopics ?? []).filter((one) => one !== topic);
    if (this.#topic === topic) this.#topic = others.shift() ?? null;
    this.#furtherTopics = others.length === 0 ? null : others;
  }

  #topicOf(form: FrameForm, filter: TypeFilter): Topic | undefined {
    for (const topic of this.#topics())
      if (topic.form === form && topic.filter.key === filter.key) return topic;
    return undefined;
  }

  *#hearers(): Iterable<Subscription> {
    if (this.#soleListener !== null) yield this.#soleListener;
    if (this.#alone !== null) yield* this.#alone;
  }

  *#topics(): Iterable<Topic> {
    if (this.#topic === null) return;
    yield this.#topic;
    if (this.#furtherTopics !== null) yield* this.#furtherTopics;
  }

  /** Computed each time, as keeping it costs more. The key is JSON: it shows where it ends. */
  #name({ form, filter }: Topic): string {
    return form.key + filter.key + this.ticker;
  }

  #deleteNotListening(subscription: Subscription): void {
    this.#notListening?.delete(subscription);
    if (this.#notListening?.size === 0) this.#notListening = null;
  }
}
