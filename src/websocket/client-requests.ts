/**
 * Answers one client's messages in order, one at a time.
 *
 * One change of its subscriptions is under way at a time. Messages that come meanwhile wait in a
 * bounded queue and together are the next change. An unsubscribe doesn't wait for the change under
 * way: it ends what that has begun.
 */

import type { BarsSince } from "../live-bars/resume-bars.ts";
import { CLOSE_NORMAL, CLOSE_POLICY, CLOSE_TRY_LATER } from "../protocol/codes.ts";
import { errorFrame } from "../protocol/frames.ts";
import type { Start } from "../stream/starting-point.ts";
import type { Subscription } from "../stream/subscription.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { isNothing, minus, type TypeFilter, union } from "../stream/type-filter.ts";
import { sleep } from "../time/pauses.ts";
import { type Beginner, type Beginning, beginAll } from "./beginnings.ts";
import type { ClientBars } from "./client-bars.ts";
import { type FrameStyle, MessageError, readMessage, startOf, type Wish } from "./live-request.ts";
import { type QueuedBytes, RequestQueue } from "./request-queue.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { Turns } from "./turns.ts";
import { checkTypes, shownTicker, type WatchList } from "./watch-list.ts";

/** After opening this many subscriptions, a change begins them before it reads further messages. */
const OPENED_AT_ONCE = 256;
/**
 * Times `--ws-symbols-max`: tickers that a client may name at once; after that it may name
 * `--ws-symbols-max` a second, and more wait.
 */
const NAMED_AT_ONCE_FACTOR = 10;

export interface ClientRequestsOptions {
  subscriptions: Subscriptions;
  watchList: WatchList;
  bars: ClientBars;
  symbolsMax: number;
  queuedBytes: QueuedBytes;
  turns: Turns;
  client: RequestingClient;
}

export interface RequestingClient {
  readonly open: boolean;
  send(text: string): void;
  /** Whether it has read enough of earlier answers for another. */
  readonly hasRoomForAnswer: boolean;
  /** Resolves when it has room, or is closed. */
  room(): Promise<void>;
  /** @throws MessageError it has subscriptions that are told otherwise. */
  tellAs(telling: FrameStyle): void;
  close(code: number, reason: string): void;
  /** Closes a client that sends too much. */
  refuse(code: number, errorCode: string, reason: string): void;
  /** Drops waiting updates of an ended subscription, which would otherwise follow the answer. */
  ended(ticker: string): void;
  narrowed(ticker: string, filter: TypeFilter): void;
  warn(message: string): void;
  failed(error: unknown): void;
}

export class ClientRequests implements Beginner {
  readonly #options: ClientRequestsOptions;
  readonly #queue: RequestQueue;
  readonly #named: TokenBucket;
  /** Opened, and not begun. */
  #opened: Beginning[] = [];
  #beginning: Promise<void> | null = null;
  #isWorking = false;
  #pause: AbortController | null = null;

  constructor(options: ClientRequestsOptions) {
    this.#options = options;
    this.#queue = new RequestQueue(options.queuedBytes);
    const { symbolsMax } = options;
    this.#named = new TokenBucket(NAMED_AT_ONCE_FACTOR * symbolsMax, symbolsMax);
  }

  get open(): boolean {
    return this.#options.client.open;
  }

  /**
   * Begins what the handshake asked for.
   *
   * @param tell whether to tell the client what it is subscribed to.
   */
  begin(wish: Wish, tell: boolean): void {
    void this.#work(async () => {
      const turn = this.#options.turns.take();
      if (turn !== null) await turn;
      if (!this.open || !this.#fits(wish)) return;
      this.#open(wish);
      if (tell) await this.#tellOpened();
      this.#startBeginning(tell);
    });
  }

  /** Checked again: other clients may have used up the quota since the handshake. */
  #fits(wish: Wish): boolean {
    try {
      this.#options.watchList.check(wish);
      return true;
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#options.client.close(CLOSE_TRY_LATER, error.message);
      return false;
    }
  }

  /** Some subscriptions are not up to date yet. */
  get isBeginning(): boolean {
    return this.#beginning !== null;
  }

  message(received: string | Buffer): void {
    const { client } = this.#options;
    const text = typeof received === "string" ? received : null;
    switch (this.#queue.add(text)) {
      case "own bound":
        client.refuse(
          CLOSE_POLICY,
          "too_many_messages",
          `too many messages wait for those before them (${this.#queue.size})`,
        );
        return;
      case "bound of all":
        client.refuse(CLOSE_TRY_LATER, "too_many_messages", "too many messages of all clients wait");
        return;
      case null:
        void this.#work(async () => undefined);
    }
  }

  /** Stops everything, for a client that has closed or is being closed. */
  stop(): void {
    this.#queue.clear();
    this.#opened = [];
    this.#pause?.abort();
  }

  isCurrent(subscription: Subscription): boolean {
    return this.#options.watchList.isCurrent(subscription);
  }

  drop(subscription: Subscription): void {
    this.#options.watchList.leave(subscription);
    this.#options.bars.remove(subscription.ticker, null);
  }

  reopen({ ticker, filter }: Subscription): Subscription {
    return this.#options.watchList.open(ticker, filter);
  }

  /** @param first done before any message is answered. */
  async #work(first: () => Promise<void>): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      await first();
      await this.#answerAll();
    } catch (error) {
      this.#options.client.failed(error);
    } finally {
      this.#isWorking = false;
    }
  }

  async #answerAll(): Promise<void> {
    const { client, turns } = this.#options;
    while (this.open && this.#queue.size > 0) {
      if (!client.hasRoomForAnswer) await client.room();
      const turn = turns.take();
      if (turn !== null) await turn;
      const text = this.#queue.take();
      if (text === undefined) break;
      try {
        await this.#answer(text);
      } catch (error) {
        if (!(error instanceof MessageError)) throw error;
        client.send(errorFrame(error.code, error.message));
      }
      if (this.#opened.length >= OPENED_AT_ONCE) this.#startBeginning();
    }
    this.#startBeginning();
  }

  async #answer(text: string | null): Promise<void> {
    const { client } = this.#options;
    const message = readMessage(text);
    if (message.action === "close") {
      client.close(CLOSE_NORMAL, "");
      return;
    }
    const tickers = message.action === "subscribe" ? message.wish.tickers : message.tickers;
    await this.#throttle(tickers.length);
    if (message.action === "subscribe") {
      if (this.#beginning !== null) await this.#beginning;
      if (!this.open) return;
      this.#options.watchList.check(message.wish);
      if (message.wish.bars !== null) this.#options.bars.check(message.wish.tickers, message.wish.bars);
      if (message.telling !== null) client.tellAs(message.telling);
      this.#open(message.wish);
      await this.#tellOpened();
    } else if (this.open) {
      this.#unsubscribe(message.tickers, message.filter, message.bars);
      this.#tell();
    }
  }

  /** Makes a client wait that names too many tickers; what it asked for so far begins meanwhile. */
  async #throttle(tickers: number): Promise<void> {
    const waitMs = this.#named.borrow(Math.min(tickers, this.#options.symbolsMax));
    if (waitMs === 0 || !this.open) return;
    this.#startBeginning();
    this.#pause = new AbortController();
    await sleep(waitMs, this.#pause.signal);
    this.#pause = null;
  }

  #open(wish: Wish): void {
    const { subscriptions, watchList } = this.#options;
    for (const ticker of wish.tickers) {
      const start = startOf(wish, ticker);
      if (wish.bars !== null) this.#options.bars.add(ticker, wish.bars, barsSince(start, ticker));
      const before = watchList.get(ticker);
      if (before !== undefined && start.kind !== "since") {
        subscriptions.widen(before, wish.filter);
        continue;
      }
      if (before !== undefined) this.#leave(before);
      const filter = before === undefined ? wish.filter : union(before.filter, wish.filter);
      this.#opened.push({ subscription: watchList.open(ticker, filter), start });
    }
  }

  #unsubscribe(tickers: string[], filter: TypeFilter, timeframes: string[] | null): void {
    const { subscriptions, watchList, client, bars } = this.#options;
    const ends: [subscription: Subscription, left: TypeFilter][] = [];
    for (const ticker of tickers) {
      const subscription = watchList.get(ticker);
      if (subscription === undefined) continue;
      const left = minus(subscription.filter, filter);
      checkTypes(left, ticker);
      ends.push([subscription, left]);
    }
    for (const [subscription, left] of ends) {
      bars.remove(subscription.ticker, timeframes);
      if (isNothing(left) && !bars.has(subscription.ticker)) {
        this.#leave(subscription);
        continue;
      }
      subscriptions.refilter(subscription, left);
      client.narrowed(subscription.ticker, left);
    }
  }

  #leave(subscription: Subscription): void {
    const { ticker } = subscription;
    this.#options.watchList.leave(subscription);
    this.#options.client.ended(ticker);
  }

  /** If the database is unavailable, each subscription reports that when it begins. */
  async #tellOpened(): Promise<void> {
    await this.#options.subscriptions.epoch().catch(() => null);
    this.#tell();
  }

  #tell(): void {
    const { client, watchList, subscriptions } = this.#options;
    client.send(watchList.frame(subscriptions.knownEpoch));
  }

  /** @param tell false: the client expects no message about its subscription. */
  #startBeginning(tell = true): void {
    if (this.#opened.length === 0 || !this.open) return;
    const opened = this.#opened;
    this.#opened = [];
    this.#beginning = this.#begin(opened, tell)
      .catch((error: unknown) => this.#options.client.failed(error))
      .finally(() => {
        this.#beginning = null;
      });
  }

  async #begin(opened: Beginning[], tell: boolean): Promise<void> {
    const { subscriptions, watchList, client, turns } = this.#options;
    const failed = await beginAll(opened, this, { subscriptions, turns });
    if (failed === null || !this.open) return;
    const names = failed.tickers.slice(0, 3).map(shownTicker).join(", ");
    const shown = names + (failed.tickers.length > 3 ? ", …" : "");
    client.warn(`WebSocket for ${shown}: ${failed.why}`);
    if (!tell || watchList.size === 0) {
      client.close(CLOSE_TRY_LATER, "the server can't subscribe now");
      return;
    }
    client.send(errorFrame("unavailable", `not subscribed to ${shown}: ${failed.why}`));
    this.#tell();
  }
}

/** Of one ticker; null: it begins now. */
function barsSince(start: Start, ticker: string): BarsSince | null {
  if (start.kind !== "since") return null;
  const since = start.since instanceof Map ? start.since.get(ticker) : start.since;
  return since === undefined ? null : { since, epoch: start.epoch };
}
