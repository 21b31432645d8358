/**
 * Heartbeats tell subscribers of one ticker its position, and subscribers to all tickers which have
 * moved since the last one.
 *
 * All have one interval, so a queue in order of due time and one timer serve them all. When there
 * are too many to send in time, they come late, and other work gets its turns.
 */
import type { Channel } from "./channel.ts";
import { type FrameForm, Texts } from "./frame-form.ts";
import type { PositionCheck } from "./position-check.ts";
import { ALL_TICKERS } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { TickerFeeds } from "./ticker-feeds.ts";

/** Time for heartbeats at a stretch; other work then gets as long. */
const TURN_MS = 5;
/** Frames sent between two looks at the clock. */
const FRAMES_PER_LOOK = 200;

export interface HeartbeatsOptions {
  intervalMs: number;
  feeds: TickerFeeds;
  check: PositionCheck;
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  /** Sorted by due time. */
  readonly #queue = new Set<Channel>();
  #timer: Timer | null = null;
  /** Kept while somebody watches all tickers: the positions that moved since the last heartbeat. */
  readonly #moved = new Map<string, number>();

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  /** The first heartbeat comes after one interval. */
  start(channel: Channel): void {
    if (this.#queue.has(channel)) return;
    const { intervalMs } = this.#options;
    channel.beatMs = performance.now() + intervalMs;
    this.#queue.add(channel);
    this.#timer ??= setTimeout(() => this.#beatDue(), intervalMs);
  }

  stop(channel: Channel): void {
    this.#queue.delete(channel);
  }

  stopAll(): void {
    this.#queue.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Call it only while somebody watches all tickers. */
  moved(ticker: string, position: number): void {
    this.#moved.set(ticker, position);
  }

  forgetMoved(): void {
    this.#moved.clear();
  }

  forgetTicker(ticker: string): void {
    this.#moved.delete(ticker);
  }

  /** Of one ticker; not to those who get one for all their tickers. */
  tell({ ticker, subscriber }: Subscription, position: number): void {
    const { form } = subscriber;
    if (!form.beatsOnce) subscriber.send(this.#of(form, ticker, position, new Date()));
  }

  /** Names all tickers that the subscription is not still reading. */
  tellAll(subscription: Subscription): void {
    const positions = this.#options.feeds.positions();
    for (const ticker of subscription.tickersBeingRead()) positions.delete(ticker);
    const { subscriber } = subscription;
    subscriber.send(this.#ofAll(subscriber.form, positions, new Date()));
  }

  /** Names the tickers that moved while the subscription, now up to date, didn't listen. */
  tellMoved(subscription: Subscription): void {
    const moved = subscription.takeMoved();
    if (moved.length === 0) return;
    const positions = new Map(moved.map((ticker) => [ticker, this.#options.feeds.delivered(ticker)]));
    const { subscriber } = subscription;
    subscriber.send(this.#ofAll(subscriber.form, positions, new Date()));
  }

  #beatDue(): void {
    const startMs = performance.now();
    let nowMs = startMs;
    let frames = 0;
    for (const channel of this.#queue) {
      if (channel.beatMs > nowMs) break;
      this.#beat(channel, new Date());
      this.#putBack(channel, nowMs);
      frames += channel.size;
      if (frames < FRAMES_PER_LOOK) continue;
      frames = 0;
      nowMs = performance.now();
      if (nowMs - startMs > TURN_MS) break;
    }
    this.#timer = null;
    const [next] = this.#queue;
    if (next === undefined) return;
    const endMs = performance.now();
    const waitMs = Math.max(next.beatMs - endMs, endMs - startMs > TURN_MS ? endMs - startMs : 0);
    this.#timer = setTimeout(() => this.#beatDue(), waitMs);
  }

  /** Keeps the schedule without drift. A suspended machine skips beats, and sends none late. */
  #putBack(channel: Channel, nowMs: number): void {
    const { intervalMs } = this.#options;
    channel.beatMs += intervalMs * Math.max(1, Math.floor((nowMs - channel.beatMs) / intervalMs));
    this.#queue.delete(channel);
    this.#queue.add(channel);
  }

  #beat(channel: Channel, now: Date): void {
    const { ticker } = channel;
    if (ticker === ALL_TICKERS) {
      channel.publishHeartbeat(new Texts((form) => this.#ofAll(form, this.#moved, now)));
      this.#moved.clear();
    } else {
      const position = this.#options.feeds.delivered(ticker);
      channel.publishHeartbeat(new Texts((form) => this.#of(form, ticker, position, now)));
    }
    for (const subscription of channel.notListening) this.#beatFor(subscription, now);
  }

  /** Tells a subscription that doesn't listen how far it was sent everything. */
  #beatFor(subscription: Subscription, now: Date): void {
    const { ticker, subscriber, state } = subscription;
    if (ticker === ALL_TICKERS) {
      // The first one names all tickers: an empty one would say that there are none.
      if (state !== "joining") subscriber.send(this.#ofAll(subscriber.form, new Map(), now));
      return;
    }
    if (subscriber.form.beatsOnce) return;
    const waits = subscriber.waitsFrom(ticker);
    const delivered = Math.max(this.#options.feeds.delivered(ticker), subscription.ahead(ticker));
    const readTo = subscription.readTo(ticker);
    const reached = readTo === undefined ? (waits === undefined ? delivered : waits - 1) : readTo;
    if (reached !== null) subscriber.send(this.#of(subscriber.form, ticker, reached, now));
  }

  #of(form: FrameForm, ticker: string, position: number, now: Date): string {
    const { epoch, isVerified } = this.#options.check;
    return form.heartbeat(ticker, position, { now, epoch, isVerified });
  }

  #ofAll(form: FrameForm, positions: Map<string, number>, now: Date): string {
    const { epoch, isVerified } = this.#options.check;
    return form.heartbeats({ now, positions, epoch, isVerified });
  }
}
