/**
 * Heartbeats tell where tickers are: to those who watch one, its position; to those who watch all,
 * what moved since the last.
 *
 * All have the same interval, so those that are due next stand first in one queue, and one timer
 * serves them all. Where there are more than can be sent in time, they come late, and what else
 * there is to do has its turn in between.
 */
import { allHeartbeatFrame, heartbeatFrame } from "../protocol/frames.ts";
import type { Channel } from "./channel.ts";
import type { PositionCheck } from "./position-check.ts";
import { ALL_TICKERS } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { TickerFeeds } from "./ticker-feeds.ts";

/** For heartbeats at a stretch; then others have their turn for as long. */
const TURN_MS = 5;
/** Frames to sockets between two looks at the clock. */
const FRAMES_PER_LOOK = 200;

export interface HeartbeatsOptions {
  intervalMs: number;
  feeds: TickerFeeds;
  check: PositionCheck;
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  /** In the order in which they are due. */
  readonly #queue = new Set<Channel>();
  #timer: Timer | null = null;
  /** While all tickers are watched: those that moved since the last heartbeat. */
  readonly #moved = new Map<string, number>();

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  /** Of a channel, unless they have begun: the first after one interval. */
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

  /** While all tickers are watched. */
  moved(ticker: string, position: number): void {
    this.#moved.set(ticker, position);
  }

  forgetMoved(): void {
    this.#moved.clear();
  }

  forgetTicker(ticker: string): void {
    this.#moved.delete(ticker);
  }

  /** To one subscriber, about its ticker. */
  tell({ ticker, subscriber }: Subscription, position: number): void {
    subscriber.send(this.#of(ticker, position, new Date()));
  }

  /** Of all tickers that the subscription to all is up to date with. */
  tellAll(subscription: Subscription): void {
    const positions = this.#options.feeds.positions();
    for (const ticker of subscription.behindTickers()) positions.delete(ticker);
    subscription.subscriber.send(this.#ofAll(positions, new Date()));
  }

  /** Of the tickers that moved while it didn't listen, of all of which it has everything now. */
  tellMoved(subscription: Subscription): void {
    const moved = subscription.takeMoved();
    if (moved.length === 0) return;
    const positions = new Map(moved.map((ticker) => [ticker, this.#options.feeds.delivered(ticker)]));
    subscription.subscriber.send(this.#ofAll(positions, new Date()));
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

  /**
   * On a fixed schedule that doesn't drift. A suspended machine skips beats instead of sending them
   * all at once.
   */
  #putBack(channel: Channel, nowMs: number): void {
    const { intervalMs } = this.#options;
    channel.beatMs += intervalMs * Math.max(1, Math.floor((nowMs - channel.beatMs) / intervalMs));
    this.#queue.delete(channel);
    this.#queue.add(channel);
  }

  #beat(channel: Channel, now: Date): void {
    const { ticker } = channel;
    if (ticker === ALL_TICKERS) {
      channel.publish(this.#ofAll(this.#moved, now));
      this.#moved.clear();
    } else channel.publish(this.#of(ticker, this.#options.feeds.delivered(ticker), now));
    for (const subscription of channel.apart) this.#beatFor(subscription, now);
  }

  /**
   * It isn't there where all are, but alive: it hears that too, and how far it was sent everything.
   */
  #beatFor(subscription: Subscription, now: Date): void {
    const { ticker, subscriber, state } = subscription;
    if (ticker === ALL_TICKERS) {
      // Its first one names all tickers: one without any would say that there are none.
      if (state !== "joining") subscriber.send(this.#ofAll(new Map(), now));
      return;
    }
    const waits = subscriber.waitsFrom(ticker);
    const delivered = Math.max(this.#options.feeds.delivered(ticker), subscription.ahead(ticker));
    const behind = subscription.behind(ticker);
    const reached = behind === undefined ? (waits === undefined ? delivered : waits - 1) : behind;
    if (reached !== null) subscriber.send(this.#of(ticker, reached, now));
  }

  #of(ticker: string, seq: number, now: Date): string {
    const { epoch, isVerified } = this.#options.check;
    return heartbeatFrame(ticker, now, { seq, epoch }, isVerified);
  }

  #ofAll(positions: Map<string, number>, now: Date): string {
    const { epoch, isVerified } = this.#options.check;
    return allHeartbeatFrame(now, positions, epoch, isVerified);
  }
}
