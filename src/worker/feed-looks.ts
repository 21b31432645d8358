/**
 * Where other servers save into the database too, a feed that is silent here may be alive there. So
 * one worker looks for newer rows of each feed that is about to count as mute, or does.
 */
import { type FeedFigures, keyOf, muteAfterMs } from "../feeds/feed.ts";
import type { FeedView } from "../feeds/feed-view.ts";
import { parseTimestamp, toHourly } from "../market/timestamp.ts";
import type { StockReader } from "../storage/contract.ts";
import { KIND_NAMES, type KindName, kindOf } from "../storage/model/kinds.ts";

const ROUND_MS = 1_000;
/** The hub knows of the newest rows so much later. */
const LATE_MS = 1_500;
/** Between two looks at one feed. */
const AGAIN_MS = 5_000;
/** Looks of one round, one after the other. */
const LOOKS_MAX = 100;

export interface FeedLooksOptions {
  view: FeedView;
  staleAfterMs: number;
  reader: Pick<StockReader, "newest">;
  isOpen(ticker: string): boolean;
  /** @param stamp of newer rows, in its stored form; null: there are none. */
  found(feed: FeedFigures, stamp: string | null): void;
}

export class FeedLooks {
  readonly #options: FeedLooksOptions;
  readonly #timer: Timer;
  /** When each was looked at, on the clock of performance.now(). Only feeds that are silent. */
  #lookedMs = new Map<string, number>();
  #isLooking = false;

  constructor(options: FeedLooksOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), ROUND_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      for (const feed of this.#due()) {
        this.#lookedMs.set(keyOf(feed), performance.now());
        this.#options.found(feed, await this.#newerStamp(feed));
      }
    } catch {
      // The database is away: nobody knows, and so nothing is mute.
    } finally {
      this.#isLooking = false;
    }
  }

  #due(): FeedFigures[] {
    const { view, staleAfterMs, isOpen } = this.#options;
    const nowMs = Date.now();
    const silent = [...view.figures].filter((feed) => {
      const afterMs = feed.isLive ? muteAfterMs(feed, staleAfterMs) : null;
      return afterMs !== null && nowMs - feed.heardMs > afterMs + LATE_MS;
    });
    const kept = new Map<string, number>();
    const due: FeedFigures[] = [];
    for (const feed of silent) {
      const key = keyOf(feed);
      const lookedMs = this.#lookedMs.get(key);
      if (lookedMs !== undefined) kept.set(key, lookedMs);
      const isDue = lookedMs === undefined || performance.now() - lookedMs > AGAIN_MS;
      if (isDue && due.length < LOOKS_MAX && isOpen(feed.ticker)) due.push(feed);
    }
    this.#lookedMs = kept;
    return due;
  }

  /** @throws RequestError 503 */
  async #newerStamp({ ticker, type, interval, stamp }: FeedFigures): Promise<string | null> {
    const isBar = type === "bar";
    const kind: KindName = !isBar ? "ticks" : (KIND_NAMES.find((name) => name === interval) ?? "interval");
    const part = kindOf(kind).part === null ? null : isBar ? interval : type;
    const answer = await this.#options.reader.newest({ kind, ticker, part, from: stamp, to: null, limit: 1 });
    if (answer.empty || !("text" in answer)) return null;
    const [row] = (JSON.parse(answer.text) as { data: Record<string, unknown>[] }).data;
    const { name, type: form } = kindOf(kind).stamp;
    const told = parseTimestamp(row?.[name]);
    const found = told !== null && form === "second" ? toHourly(told) : told;
    return found !== null && (stamp === null || found > stamp) ? found : null;
  }
}
