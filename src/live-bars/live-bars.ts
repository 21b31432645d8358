/**
 * The live bars of a worker. Each ticker and spec that somebody listens to is watched once. Updates
 * of its ticks come in order of their positions, as to any subscriber; the clock closes bars; what
 * has to be told is read from the database, a bounded number of reads at a time.
 */
import { unavailable } from "../protocol/errors.ts";
import type { StockReader } from "../storage/contract.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { turn } from "../time/pauses.ts";
import { BarClock } from "./bar-clock.ts";
import type { BarFrame, BarListener } from "./bar-listener.ts";
import { BarReads } from "./bar-reads.ts";
import type { BarSource, BarSpec, BarsWish } from "./bar-spec.ts";
import { type BarsSince, resumeBars } from "./resume-bars.ts";
import { TickWatch } from "./tick-watch.ts";
import type { Touched } from "./touched-stamps.ts";
import { WatchedBars } from "./watched-bars.ts";

/** Limit for a worker: tickers times specs. */
const WATCHED_BARS_MAX = 20_000;
/** Clients that come back and read what they missed, at once; the others wait. */
const RESUMES_MAX = 2;
/** How long a bar waits for the updates that it is made of. */
const DELIVERY_MAX_MS = 5_000;
const DELIVERY_POLL_MS = 10;
/** Watched bars whose bucket closes in one turn of the event loop. */
const CLOSES_PER_TURN = 200;
/** Timers of longer than that would lag behind a clock that is set. */
const TIMER_MAX_MS = 1_000;

export interface LiveBarsOptions {
  subscriptions: Subscriptions;
  /** The database may be opened later. */
  reads(): { reader: Pick<StockReader, "columns">; updates: UpdateReader };
  warn(message: string): void;
}

/** One listener's bars of a ticker and spec. */
export interface ListeningToBars {
  /** Resolves when all that changes from now on is told; rejects when it can't be told. */
  begun: Promise<void>;
  leave(): void;
}

interface BarsEntry {
  bars: WatchedBars;
  users: number;
  ready: Promise<void>;
  leaveTicks(): void;
}

interface ClockEntry {
  clock: BarClock;
  entries: Set<BarsEntry>;
}

export class LiveBars {
  readonly #options: LiveBarsOptions;
  readonly #watches: Record<BarSource, TickWatch>;
  /** By ticker, then by the key of the spec. */
  readonly #entries = new Map<string, Map<string, BarsEntry>>();
  readonly #clocks = new Map<string, ClockEntry>();
  readonly #reads: BarReads;
  readonly #stop = new AbortController();
  readonly #resuming = Array.from({ length: RESUMES_MAX }, () => ({ last: Promise.resolve(), waiting: 0 }));
  #size = 0;
  #timer: Timer | null = null;

  constructor(options: LiveBarsOptions) {
    this.#options = options;
    const { warn, subscriptions } = options;
    this.#reads = new BarReads({ signal: this.#stop.signal, warn: (message) => warn(message) });
    const watchOf = (source: BarSource): TickWatch =>
      new TickWatch({
        subscriptions,
        type: source === "trades" ? "trade" : "quote",
        touched: (ticker, touched) => this.#touched(ticker, source, touched),
        // Clients are told to connect again; until then they have what is no more.
        restarted: () => this.#entries.clear(),
      });
    this.#watches = { trades: watchOf("trades"), quotes: watchOf("quotes") };
  }

  /** Watched bars, of all clients. */
  get size(): number {
    return this.#size;
  }

  /**
   * @param since where the client comes back; null: it is new.
   * @throws RequestError 503 too many bars are watched.
   */
  listen(
    ticker: string,
    spec: BarSpec,
    wish: Pick<BarsWish, "partialMs" | "emptyBars">,
    since: BarsSince | null,
    take: (frame: BarFrame) => void,
  ): ListeningToBars {
    const entry = this.#entered(ticker, spec);
    const listener = new Listening(wish, take);
    const begun = this.#begin(entry, listener, since);
    begun.catch(() => undefined);
    let hasLeft = false;
    return {
      begun,
      leave: () => {
        if (hasLeft) return;
        hasLeft = true;
        listener.end();
        entry.bars.remove(listener);
        this.#left(ticker, spec, entry);
      },
    };
  }

  stop(): void {
    this.#stop.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const { entries } of this.#clocks.values()) for (const { bars } of entries) bars.stop();
  }

  async #begin(entry: BarsEntry, listener: Listening, since: BarsSince | null): Promise<void> {
    await entry.ready;
    if (listener.hasEnded) return;
    entry.bars.add(listener);
    if (since === null) listener.release([]);
    else {
      const { updates } = this.#options.reads();
      const { emptyBars } = listener;
      const told = await this.#inTurn(() =>
        resumeBars(entry.bars, { updates, since, emptyBars, signal: this.#stop.signal }),
      );
      listener.release(told);
    }
  }

  /** A few at once: thousands may come back in one moment, and each reads. */
  async #inTurn<T>(read: () => Promise<T>): Promise<T> {
    const slot = this.#resuming.reduce((best, each) => (each.waiting < best.waiting ? each : best));
    slot.waiting++;
    const result = slot.last.then(read);
    slot.last = result.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await result;
    } finally {
      slot.waiting--;
    }
  }

  #entered(ticker: string, spec: BarSpec): BarsEntry {
    const ofTicker = this.#entries.get(ticker) ?? new Map<string, BarsEntry>();
    let entry = ofTicker.get(spec.key);
    if (entry === undefined) {
      if (this.#size >= WATCHED_BARS_MAX)
        throw unavailable(`bars: ${this.#size} of tickers are watched already, expected no more`);
      entry = this.#opened(ticker, spec);
      this.#entries.set(ticker, ofTicker);
      ofTicker.set(spec.key, entry);
      this.#size++;
    }
    entry.users++;
    return entry;
  }

  #opened(ticker: string, spec: BarSpec): BarsEntry {
    const { subscriptions, reads } = this.#options;
    let ofClock = this.#clocks.get(spec.key);
    if (ofClock === undefined) {
      ofClock = { clock: new BarClock(spec, Date.now()), entries: new Set() };
      this.#clocks.set(spec.key, ofClock);
    } else this.#advance(ofClock);
    const bars = new WatchedBars({
      ticker,
      spec,
      clock: ofClock.clock,
      reader: { columns: (query) => reads().reader.columns(query) },
      place: () => ({ position: subscriptions.delivered(ticker), epoch: subscriptions.knownEpoch }),
      untilDelivered: (position) => this.#untilDelivered(ticker, position),
      enqueue: (watched, isUrgent) => this.#reads.enqueue(watched, isUrgent),
    });
    const ticks = this.#watches[spec.source].enter(ticker);
    const ready = ticks.ready.then(() => bars.begin());
    ready.catch(() => undefined);
    const entry: BarsEntry = { bars, users: 0, ready, leaveTicks: ticks.leave };
    ofClock.entries.add(entry);
    this.#plan();
    return entry;
  }

  #left(ticker: string, spec: BarSpec, entry: BarsEntry): void {
    if (--entry.users > 0) return;
    entry.bars.stop();
    this.#reads.forget(entry.bars);
    entry.leaveTicks();
    const ofTicker = this.#entries.get(ticker);
    if (ofTicker?.get(spec.key) === entry) ofTicker.delete(spec.key);
    if (ofTicker?.size === 0) this.#entries.delete(ticker);
    const ofClock = this.#clocks.get(spec.key);
    ofClock?.entries.delete(entry);
    if (ofClock?.entries.size === 0) this.#clocks.delete(spec.key);
    this.#size--;
  }

  #touched(ticker: string, source: BarSource, touched: Touched): void {
    for (const { bars } of this.#entries.get(ticker)?.values() ?? [])
      if (bars.spec.source === source) bars.touch(touched);
  }

  /** The next look at the clocks. */
  #plan(): void {
    if (this.#timer !== null || this.#clocks.size === 0 || this.#stop.signal.aborted) return;
    const now = Date.now();
    const due = [...this.#clocks.values()].map(({ clock }) => clock.dueMs() ?? Number.POSITIVE_INFINITY);
    const waitMs = Math.max(1, Math.min(TIMER_MAX_MS, Math.min(...due) - now));
    this.#timer = setTimeout(() => void this.#look(), waitMs);
  }

  async #look(): Promise<void> {
    for (const ofClock of [...this.#clocks.values()]) {
      for (const { bars } of ofClock.entries) bars.tellLate();
      let closes = 0;
      for (const close of this.#advance(ofClock)) {
        close();
        if (++closes % CLOSES_PER_TURN === 0) await turn();
      }
    }
    this.#timer = null;
    this.#plan();
  }

  /** What is to be done for each of those who watch, in order of the buckets. */
  #advance({ clock, entries }: ClockEntry): (() => void)[] {
    const before = clock.closedUntil;
    const { closed, leftOut } = clock.advance(Date.now());
    const [first] = closed;
    return [...entries].map(({ bars }) => () => {
      if (leftOut > 0 && first !== undefined) bars.leaveOut(before, first.start, "too_many");
      for (const bucket of closed) bars.close(bucket);
    });
  }

  /** Usually it is delivered already: it was committed before the read. */
  async #untilDelivered(ticker: string, position: number): Promise<void> {
    const deadline = performance.now() + DELIVERY_MAX_MS;
    while (this.#options.subscriptions.delivered(ticker) < position && performance.now() < deadline)
      await Bun.sleep(DELIVERY_POLL_MS);
  }
}

/** Holds back what is told until the listener has what it has missed. */
class Listening implements BarListener {
  readonly partialMs: number | null;
  readonly emptyBars: boolean;
  readonly #take: (frame: BarFrame) => void;
  #held: BarFrame[] | null = [];
  hasEnded = false;

  constructor(
    { partialMs, emptyBars }: Pick<BarsWish, "partialMs" | "emptyBars">,
    take: (frame: BarFrame) => void,
  ) {
    this.partialMs = partialMs;
    this.emptyBars = emptyBars;
    this.#take = take;
  }

  take(frame: BarFrame): void {
    if (this.hasEnded) return;
    if (this.#held === null) this.#take(frame);
    else if (frame.type !== "partial_bars") this.#held.push(frame);
  }

  /** A bar that was told meanwhile is told again unless `told` has it of a later position. */
  release(told: readonly BarFrame[]): void {
    const held = this.#held ?? [];
    this.#held = null;
    const positions = new Map(told.map(({ bucket, position }) => [bucket?.start, position]));
    for (const frame of told) this.take(frame);
    for (const frame of held)
      if (frame.bucket === null || frame.position >= (positions.get(frame.bucket.start) ?? 0))
        this.take(frame);
  }

  end(): void {
    this.hasEnded = true;
    this.#held = null;
  }
}
