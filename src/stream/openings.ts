/**
 * Opens channels: first asks the hub for the ticker's commits, then reads its position, so no
 * update falls between the two. Each opening is a question to the hub, so a bounded number run at
 * once.
 */
import { unavailable } from "../protocol/errors.ts";
import type { Update, UpdateReader } from "../storage/update-contract.ts";
import type { Channel } from "./channel.ts";
import type { PositionCheck } from "./position-check.ts";
import { ALL_TICKERS } from "./subscriber.ts";
import type { TickerFeeds } from "./ticker-feeds.ts";

/** Limit for the worker, over all subscribers. */
const UNDER_WAY_MAX = 256;
/** Limit for the wait for a turn: others may be waiting for a lost hub. */
const WAIT_MAX_MS = 10_000;

export interface OpeningsOptions {
  channels: ReadonlyMap<string, Channel>;
  feeds: TickerFeeds;
  check: PositionCheck;
  updates: UpdateReader;
  /** Resolves when every later commit to the ticker, or to ALL_TICKERS, reaches this worker. */
  watch(ticker: string): Promise<void>;
  /** Takes an update that came while its ticker was opening. */
  accept(ticker: string, update: Update): void;
}

interface Waiting {
  deadlineMs: number;
  /** Resolves to false when the channel was closed before its turn. */
  turn: PromiseWithResolvers<boolean>;
}

export class Openings {
  readonly #options: OpeningsOptions;
  readonly #opening = new Set<string>();
  /** The newest update that came for each opening ticker. The log has those before it. */
  readonly #early = new Map<string, Update>();
  readonly #waiting = new Map<Channel, Waiting>();
  #underWay = 0;

  constructor(options: OpeningsOptions) {
    this.#options = options;
  }

  /** Whether this ticker itself is opening; `isOpening` includes the opening of all. */
  has(ticker: string): boolean {
    return this.#opening.has(ticker);
  }

  isOpening(ticker: string): boolean {
    return this.#opening.has(ticker) || this.#opening.has(ALL_TICKERS);
  }

  keepEarly(ticker: string, update: Update): void {
    if (update.position > (this.#early.get(ticker)?.position ?? 0)) this.#early.set(ticker, update);
  }

  /** `channel.opening` tells the outcome. */
  open(channel: Channel): void {
    channel.state = "opening";
    channel.opening = this.#openInTurn(channel);
    // Waiters see the failure through `opening`. This handler is for when there are none.
    channel.opening.then(
      () => {
        channel.opening = null;
      },
      () => {
        channel.state = "failed";
      },
    );
  }

  /** Call it when the last subscription has left. @returns whether commits were asked for. */
  close(channel: Channel): boolean {
    const waiting = this.#waiting.get(channel);
    if (channel.state !== "new" && waiting === undefined) return true;
    this.#waiting.delete(channel);
    waiting?.turn.resolve(false);
    // An earlier channel of the ticker may have left this entry to this one.
    this.#opening.delete(channel.ticker);
    this.#acceptEarly();
    return false;
  }

  async #openInTurn(channel: Channel): Promise<void> {
    if (this.#underWay < UNDER_WAY_MAX) this.#underWay++;
    else if (!(await this.#turn(channel))) return;
    try {
      await this.#open(channel);
    } finally {
      this.#next();
    }
  }

  #turn(channel: Channel): Promise<boolean> {
    const turn = Promise.withResolvers<boolean>();
    this.#waiting.set(channel, { deadlineMs: performance.now() + WAIT_MAX_MS, turn });
    return turn.promise;
  }

  #next(): void {
    for (const [channel, { deadlineMs, turn }] of this.#waiting) {
      this.#waiting.delete(channel);
      if (performance.now() < deadlineMs) {
        turn.resolve(true);
        return;
      }
      turn.reject(unavailable("too many tickers wait for the database's writer"));
    }
    this.#underWay--;
  }

  async #open(channel: Channel): Promise<void> {
    const { channels, feeds, check, updates, watch } = this.#options;
    const { ticker } = channel;
    const isCurrent = (): boolean => channels.get(ticker) === channel;
    if (!isCurrent()) return;
    this.#opening.add(ticker);
    try {
      await watch(ticker);
      if (!isCurrent()) return;
      const read = updates.positions(ticker === ALL_TICKERS ? null : [ticker]);
      const positions = read instanceof Promise ? await read : read;
      if (!isCurrent()) return;
      check.confirmed();
      if (ticker === ALL_TICKERS) feeds.setWithoutFeed(positions);
      else {
        channel.openedAt = positions.get(ticker) ?? 0;
        // Subscribers to all tickers have heard up to the feed's position, and must hear what lies
        // between.
        const allHeard = channels.get(ALL_TICKERS)?.state === "open";
        const delivered = allHeard ? feeds.delivered(ticker) : channel.openedAt;
        feeds.opened(ticker, delivered).note(channel.openedAt);
      }
      channel.state = "open";
    } finally {
      if (isCurrent() || !channels.has(ticker)) this.#opening.delete(ticker);
      this.#acceptEarly();
    }
  }

  #acceptEarly(): void {
    for (const [ticker, update] of this.#early) {
      if (this.isOpening(ticker)) continue;
      this.#early.delete(ticker);
      this.#options.accept(ticker, update);
    }
  }
}
