/**
 * One heartbeat a socket, for clients that ask for it: it names the tickers of the socket that
 * moved since the one before, and stands for all others. So a thousand idle tickers cost one frame.
 *
 * A ticker is named only while the socket has exactly what the feed has delivered; what moves
 * meanwhile is owed to it until then.
 */
import { turn } from "../time/pauses.ts";
import type { PositionCheck } from "./position-check.ts";
import { ALL_TICKERS, type Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { TickerFeeds } from "./ticker-feeds.ts";

/** Time for heartbeats at a stretch; other work then gets a turn. */
const TURN_MS = 5;
/** How soon a socket is told where new subscriptions stand: those that begin meanwhile too. */
const OWED_MS = 20;

export interface SocketHeartbeatsOptions {
  intervalMs: number;
  feeds: TickerFeeds;
  check: PositionCheck;
}

interface BeatingSocket {
  /** Tickers that it has to be told of, once it is up to date with them. */
  owed: Set<string>;
  /** Set while it is about to be told of them. */
  soon: Timer | null;
}

export class SocketHeartbeats {
  readonly #options: SocketHeartbeatsOptions;
  readonly #sockets = new Map<Subscriber, BeatingSocket>();
  /** Since the last round of heartbeats. */
  #moved = new Set<string>();
  #timer: Timer | null = null;

  constructor(options: SocketHeartbeatsOptions) {
    this.#options = options;
  }

  add(subscriber: Subscriber): void {
    if (this.#sockets.has(subscriber)) return;
    this.#sockets.set(subscriber, { owed: new Set(), soon: null });
    this.#timer ??= setInterval(() => void this.#beatAll(), this.#options.intervalMs);
  }

  /** Call it when the last subscription has left. */
  remove(subscriber: Subscriber): void {
    clearTimeout(this.#sockets.get(subscriber)?.soon ?? undefined);
    this.#sockets.delete(subscriber);
    if (this.#sockets.size === 0) this.stop();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#moved.clear();
  }

  moved(ticker: string): void {
    if (this.#sockets.size > 0) this.#moved.add(ticker);
  }

  /** The subscription has just come up to date: its position is told soon. */
  owe({ ticker, subscriber }: Subscription): void {
    const socket = this.#sockets.get(subscriber);
    if (socket === undefined || ticker === ALL_TICKERS) return;
    socket.owed.add(ticker);
    socket.soon ??= setTimeout(() => {
      socket.soon = null;
      this.#beat(subscriber, socket, new Set());
    }, OWED_MS);
  }

  async #beatAll(): Promise<void> {
    const moved = this.#moved;
    this.#moved = new Set();
    let startMs = performance.now();
    for (const [subscriber, socket] of this.#sockets) {
      this.#beat(subscriber, socket, moved);
      if (performance.now() - startMs < TURN_MS) continue;
      await turn();
      startMs = performance.now();
    }
  }

  #beat(subscriber: Subscriber, { owed }: BeatingSocket, moved: ReadonlySet<string>): void {
    for (const ticker of movedOf(subscriber, moved)) owed.add(ticker);
    const positions = new Map<string, number>();
    for (const ticker of owed) {
      const subscription = subscriber.subscriptionTo(ticker);
      if (subscription !== undefined && subscription.state !== "listening") continue;
      owed.delete(ticker);
      if (subscription !== undefined) positions.set(ticker, this.#options.feeds.delivered(ticker));
    }
    const { epoch, isVerified } = this.#options.check;
    subscriber.send(subscriber.form.heartbeats({ now: new Date(), positions, epoch, isVerified }));
  }
}

/** Looks through the fewer of both. */
function* movedOf(subscriber: Subscriber, moved: ReadonlySet<string>): Iterable<string> {
  let looks = 0;
  for (const { ticker } of subscriber.subscriptions) {
    if (++looks > moved.size) break;
    if (moved.has(ticker)) yield ticker;
  }
  if (looks <= moved.size) return;
  for (const ticker of moved) if (subscriber.subscriptionTo(ticker) !== undefined) yield ticker;
}
