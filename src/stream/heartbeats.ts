/** Heartbeats tell where tickers are: to those who watch one, its position; to those who watch all, what moved since the last. */
import { allHeartbeatFrame, heartbeatFrame } from "../protocol/frames.ts";
import { Beat } from "./beat.ts";
import type { Channel } from "./channel.ts";
import type { PositionCheck } from "./position-check.ts";
import { ALL_TICKERS, type Subscription } from "./subscriber.ts";
import type { TickerFeeds } from "./ticker-feeds.ts";

export interface HeartbeatsOptions {
  intervalMs: number;
  feeds: TickerFeeds;
  check: PositionCheck;
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  /** While all tickers are watched: those that moved since the last heartbeat. */
  readonly #moved = new Map<string, number>();

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  /** Of a channel, unless they have begun; `channel.beat` stops them. */
  start(channel: Channel): void {
    channel.beat ??= new Beat(this.#options.intervalMs, (now) => this.#beat(channel, now));
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
  tellAll({ behind, subscriber }: Subscription): void {
    const positions = this.#options.feeds.positions();
    for (const ticker of behind.keys()) positions.delete(ticker);
    subscriber.send(this.#ofAll(positions, new Date()));
  }

  /** Of the tickers that moved while it didn't listen, of all of which it has everything now. */
  tellMoved({ moved, subscriber }: Subscription): void {
    const positions = new Map([...moved].map((ticker) => [ticker, this.#options.feeds.delivered(ticker)]));
    moved.clear();
    subscriber.send(this.#ofAll(positions, new Date()));
  }

  #beat(channel: Channel, now: Date): void {
    const { ticker } = channel;
    if (ticker === ALL_TICKERS) {
      channel.publish(this.#ofAll(this.#moved, now));
      this.#moved.clear();
    } else channel.publish(this.#of(ticker, this.#options.feeds.delivered(ticker), now));
    for (const subscription of channel.subscriptions)
      if (subscription.state !== "listening") this.#beatFor(subscription, now);
  }

  /** It isn't there where all are, but alive: it hears that too, and how far it was sent everything. */
  #beatFor({ ticker, subscriber, behind, ahead, state }: Subscription, now: Date): void {
    if (ticker === ALL_TICKERS) {
      // Its first one names all tickers: one without any would say that there are none.
      if (state !== "joining") subscriber.send(this.#ofAll(new Map(), now));
      return;
    }
    const waits = subscriber.waitsFrom(ticker);
    const delivered = Math.max(this.#options.feeds.delivered(ticker), ahead.get(ticker) ?? 0);
    const reached = behind.has(ticker) ? behind.get(ticker) : waits === undefined ? delivered : waits - 1;
    if (reached !== null && reached !== undefined) subscriber.send(this.#of(ticker, reached, now));
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
