/**
 * The bars of one ticker and spec, for all who listen to them in this worker. It knows which
 * buckets an update has touched, and reads those that have to be told: what is told is always a
 * bucket of stored ticks at a position, and never a guess of what an update has done.
 */
import type { BarValues } from "../analysis/bar-columns.ts";
import type { Bucket } from "../calendar/contract.ts";
import type { StockReader } from "../storage/contract.ts";
import type { BarClock } from "./bar-clock.ts";
import {
  type BarFrame,
  type BarListener,
  type BarsAt,
  type BarsGapReason,
  barFrame,
  barsGapFrame,
} from "./bar-listener.ts";
import type { BarSpec } from "./bar-spec.ts";
import { DIRTY_MAX, DirtyBuckets } from "./dirty-buckets.ts";
import { barRecord, type ReadBars, readBars } from "./read-bars.ts";
import type { Touched } from "./touched-stamps.ts";

/** Closed bars that are remembered, so that only those that really changed are told again. */
const TOLD_MAX = 128;
/** Buckets to come that are known to have ticks; with more, each is read when it closes. */
const TOUCHED_MAX = 1_000;
const UNIT_MICROS = { second: 1e6, day: 86_400e6, week: 7 * 86_400e6, month: 31 * 86_400e6 } as const;
/** Ticks that were stored before may be of so far ahead, by clocks that go before. */
const SKEW_MICROS = 60_000_000;
/** Changed buckets that are read at once lie within so many, and so long a time. */
const TOGETHER_MAX = 64;
const TOGETHER_MICROS_MAX = 15 * 60 * 1_000_000;
/** A look at bounds that a removal names. */
const RANGE_BUCKETS_MAX = 2_000;

interface RememberedBar {
  bucket: Bucket;
  record: string;
  isEmpty: boolean;
}

export interface WatchedBarsOptions {
  ticker: string;
  spec: BarSpec;
  clock: BarClock;
  reader: Pick<StockReader, "columns">;
  /** Where the ticker is now. */
  place(): { position: number; epoch: string };
  /** Resolves once the updates up to the position were delivered here. */
  untilDelivered(position: number): Promise<void>;
  /** There is something to read. @param isUrgent a bar has just closed. */
  enqueue(watched: WatchedBars, isUrgent: boolean): void;
}

export interface EmptyBarsWish {
  emptyBars: boolean;
  emptied(bucket: Bucket): boolean;
}

export class WatchedBars {
  readonly listeners = new Set<BarListener>();
  readonly #options: WatchedBarsOptions;
  /** Buckets that were closed when it began were told to nobody here. */
  readonly #begunAt: number;
  /** Buckets that have ended by then may have rows that no update has told. */
  #unknownUntil = Number.POSITIVE_INFINITY;
  readonly #told = new Map<number, RememberedBar>();
  /** All closed buckets from here on are in `#told`; of those before, some. */
  #rememberedFrom: number;
  readonly #dirty = new DirtyBuckets();
  /** Those that are being read, by their start: what changes them now isn't in the read. */
  readonly #underRead = new Map<number, Bucket>();
  /** Starts of buckets that still run, or are to come, with ticks. */
  readonly #touched = new Set<number>();
  /** Whether the bucket that runs may have changed since it was last read. */
  #isChanged = true;
  readonly #partials = new Map<BarListener, { dueMs: number; told: string }>();
  #partialTimer: Timer | null = null;
  #isOver = false;

  constructor(options: WatchedBarsOptions) {
    this.#options = options;
    this.#begunAt = options.clock.closedUntil;
    this.#rememberedFrom = this.#begunAt;
  }

  get spec(): BarSpec {
    return this.#options.spec;
  }

  get ticker(): string {
    return this.#options.ticker;
  }

  get reader(): Pick<StockReader, "columns"> {
    return this.#options.reader;
  }

  get clock(): BarClock {
    return this.#options.clock;
  }

  /** Nobody listens any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** So long so many buckets may last, in µs. */
  spanOf(buckets: number): number {
    const { unit, count } = this.spec.timeframe;
    return buckets * count * UNIT_MICROS[unit];
  }

  /** All updates from now on come here. */
  begin(): void {
    const next = this.#options.clock.next();
    this.#unknownUntil = next === null ? Number.NEGATIVE_INFINITY : next.end + SKEW_MICROS;
    this.#planPartial();
  }

  add(listener: BarListener): void {
    this.listeners.add(listener);
    if (listener.partialMs === null) return;
    this.#partials.set(listener, { dueMs: 0, told: "" });
    this.#isChanged = true;
    this.#planPartial();
  }

  remove(listener: BarListener): void {
    this.listeners.delete(listener);
    this.#partials.delete(listener);
    if (this.#partials.size === 0) this.#stopPartial();
  }

  stop(): void {
    this.#isOver = true;
    this.#stopPartial();
  }

  #stopPartial(): void {
    if (this.#partialTimer !== null) clearTimeout(this.#partialTimer);
    this.#partialTimer = null;
  }

  touch(touched: Touched): void {
    const closed = new Map<number, Bucket>();
    if ("stamps" in touched) for (const micros of touched.stamps) this.#touchStamp(micros, closed);
    else this.#touchRange(touched.from, touched.to, closed);
    const tooMany = this.#dirty.add(closed.values());
    if (tooMany !== null) this.leaveOut(tooMany.from, tooMany.until, "too_many");
    if (this.#dirty.size > 0) this.#options.enqueue(this, false);
    if (this.#isChanged) this.#planPartial();
  }

  /** The clock has closed the bucket. */
  close(bucket: Bucket): void {
    const isTouched = this.#touched.delete(bucket.start) || bucket.start < this.#unknownUntil;
    this.#isChanged = true;
    if (isTouched) {
      this.#dirty.add([bucket]);
      this.#options.enqueue(this, true);
    } else this.#tell(bucket, null, this.#options.place());
  }

  /** They are told as a gap. */
  leaveOut(from: number, until: number, reason: BarsGapReason): void {
    const frame = this.gapFrame(from, until, reason);
    for (const listener of this.listeners) listener.take(frame);
  }

  gapFrame(from: number, until: number, reason: BarsGapReason): BarFrame {
    const { ticker, spec, place } = this.#options;
    return barsGapFrame({ ticker, spec, ...place() }, from, until, reason);
  }

  /** What waits can't be read, now or later. */
  giveUp(): void {
    const span = this.#dirty.takeAll();
    this.#isChanged = false;
    if (span !== null) this.leaveOut(span.from, span.until, "unavailable");
  }

  /** Tells what could not be read for long. It is told all the same, once it can be. */
  tellLate(): void {
    const span = this.#dirty.late();
    if (span !== null) this.leaveOut(span.from, span.until, "unavailable");
  }

  /** What has to be read next; null: nothing. */
  wanted(): Bucket | null {
    return this.#dirty.newest ?? (this.#isPartialDue() ? this.#running() : null);
  }

  /**
   * Others that wait and lie shortly before it: one read gives them too. Read one by one, the
   * oldest would wait as long as newer ones change.
   *
   * @param tickers of the read: the more, the shorter the time, as all are read from its begin on.
   */
  alsoWanted(bucket: Bucket, tickers: number): Bucket[] {
    const span = Math.min(TOGETHER_MICROS_MAX, this.spanOf(TOGETHER_MAX)) / tickers;
    return this.#dirty.between(bucket.start - span, bucket.start);
  }

  /** It is about to be read: what changes from now on has to be read again. */
  taken(bucket: Bucket): void {
    this.#underRead.set(bucket.start, bucket);
    if (!this.#dirty.delete(bucket)) this.#isChanged = false;
  }

  /** It can't be read now. */
  untaken(bucket: Bucket): void {
    this.#underRead.delete(bucket.start);
    if (this.clock.isClosed(bucket)) this.#dirty.add([bucket]);
    else this.#isChanged = true;
  }

  /** Tells them, once the updates that they are made of were delivered here. */
  async tell(buckets: readonly Bucket[], found: ReadBars): Promise<void> {
    await this.#options.untilDelivered(found.position);
    for (const bucket of buckets) {
      this.#underRead.delete(bucket.start);
      const bar = found.bars.get(bucket.start) ?? null;
      if (this.clock.isClosed(bucket)) this.#tell(bucket, bar, found);
      else this.#tellPartial(bucket, bar, found);
    }
  }

  /**
   * Bars that have closed since a time, for who comes back.
   *
   * @param emptied says whether one may have had ticks that are no more. @throws RequestError 503
   */
  async closedSince(
    from: number,
    { emptyBars, emptied, signal }: EmptyBarsWish & { signal: AbortSignal },
  ): Promise<BarFrame[]> {
    const { ticker, spec, clock, reader, untilDelivered } = this.#options;
    const until = clock.closedUntil;
    const buckets = [...clock.buckets(from, until, RANGE_BUCKETS_MAX)].filter(
      (bucket) => bucket.end > from && clock.isClosed(bucket),
    );
    const [first, last] = [buckets[0], buckets.at(-1)];
    if (first === undefined || last === undefined) return [];
    const stamps = { from: clock.stampsOf(first).from, until: clock.stampsOf(last).until };
    const found = await readBars(reader, {
      ticker,
      source: spec.source,
      grid: clock.grid,
      ...stamps,
      signal,
    });
    await untilDelivered(found.position);
    return buckets.flatMap((bucket) => {
      const bar = found.bars.get(bucket.start) ?? null;
      const at = { ticker, spec, ...found };
      if (bar !== null || emptyBars) return [barFrame(at, "bars", bucket, bar)];
      return emptied(bucket) ? [barFrame(at, "updated_bars", bucket, bar)] : [];
    });
  }

  /** @param closed gets the bucket if it is closed. */
  #touchStamp(micros: number, closed: Map<number, Bucket>): void {
    const { clock } = this.#options;
    const bucket = clock.bucketOf(micros);
    if (bucket === null) return;
    if (clock.isClosed(bucket)) closed.set(bucket.start, bucket);
    else {
      this.#isChanged = true;
      this.#touched.add(bucket.start);
      if (this.#touched.size <= TOUCHED_MAX) return;
      this.#touched.clear();
      this.#unknownUntil = Number.POSITIVE_INFINITY;
    }
  }

  #touchRange(from: number, to: number, closed: Map<number, Bucket>): void {
    const { clock } = this.#options;
    this.#isChanged = true;
    // Whatever runs is read when it closes.
    this.#unknownUntil = Math.max(this.#unknownUntil, clock.next()?.end ?? 0);
    const known = [...[...this.#told.values()].map(({ bucket }) => bucket), ...this.#underRead.values()];
    for (const bucket of known)
      if (bucket.end > from && bucket.start <= to && clock.isClosed(bucket)) closed.set(bucket.start, bucket);
    if (from < this.#rememberedFrom) this.#touchUnknown(from, Math.min(to, this.#rememberedFrom - 1), closed);
  }

  /** Buckets that aren't remembered: a few are read, many are left to the clients. */
  #touchUnknown(from: number, to: number, closed: Map<number, Bucket>): void {
    const { clock } = this.#options;
    const isBounded = Number.isFinite(from) && Number.isFinite(to);
    const buckets = isBounded ? [...clock.buckets(from, to + 1, DIRTY_MAX + 1)] : null;
    if (buckets === null || buckets.length > DIRTY_MAX) this.leaveOut(from, to + 1, "not_told");
    else
      for (const bucket of buckets)
        if (bucket.end > from && bucket.start <= to && clock.isClosed(bucket))
          closed.set(bucket.start, bucket);
  }

  /** Also bars that have changed, of a listener that comes back. @throws RequestError 503 */
  async frameOf(bucket: Bucket, signal: AbortSignal): Promise<BarFrame> {
    const { ticker, spec } = this.#options;
    const { found, bar } = await this.#read(bucket, signal);
    return barFrame({ ticker, spec, ...found }, "updated_bars", bucket, bar);
  }

  async #read(bucket: Bucket, signal: AbortSignal): Promise<{ found: ReadBars; bar: BarValues | null }> {
    const { ticker, spec, clock, reader, untilDelivered } = this.#options;
    const stamps = clock.stampsOf(bucket);
    const found = await readBars(reader, {
      ticker,
      source: spec.source,
      grid: clock.grid,
      ...stamps,
      signal,
    });
    // So that nobody has a bar of updates that are still to come.
    await untilDelivered(found.position);
    return { found, bar: found.bars.get(bucket.start) ?? null };
  }

  #tell(
    bucket: Bucket,
    bar: BarValues | null,
    { position, epoch }: { position: number; epoch: string },
  ): void {
    const { ticker, spec } = this.#options;
    const record = barRecord(bucket, bar);
    const isEmpty = bar === null;
    const before = this.#told.get(bucket.start);
    if (before?.record === record) return;
    this.#remember({ bucket, record, isEmpty });
    const at: BarsAt = { ticker, spec, position, epoch };
    const isOld = bucket.end <= this.#begunAt;
    for (const listener of this.listeners) {
      const hadOne = before !== undefined ? !before.isEmpty || listener.emptyBars : isOld;
      if (isEmpty && !hadOne && !listener.emptyBars) continue;
      listener.take(barFrame(at, hadOne ? "updated_bars" : "bars", bucket, bar));
    }
  }

  #remember(told: RememberedBar): void {
    this.#told.set(told.bucket.start, told);
    if (this.#told.size <= TOLD_MAX) return;
    const oldest = Math.min(...this.#told.keys());
    this.#rememberedFrom = Math.max(this.#rememberedFrom, this.#told.get(oldest)!.bucket.end);
    this.#told.delete(oldest);
  }

  #isPartialDue(): boolean {
    const now = performance.now();
    return this.#isChanged && [...this.#partials.values()].some(({ dueMs }) => dueMs <= now);
  }

  #planPartial(): void {
    if (!this.#isChanged || this.#partials.size === 0 || this.#partialTimer !== null) return;
    const dueMs = Math.min(...[...this.#partials.values()].map((partial) => partial.dueMs));
    this.#partialTimer = setTimeout(
      () => {
        this.#partialTimer = null;
        this.#options.enqueue(this, false);
      },
      Math.max(0, dueMs - performance.now()),
    );
  }

  /** The bucket that has begun and isn't closed. */
  #running(): Bucket | null {
    const bucket = this.clock.next();
    return bucket === null || bucket.start > Date.now() * 1_000 ? null : bucket;
  }

  #tellPartial(bucket: Bucket, bar: BarValues | null, found: ReadBars): void {
    const { ticker, spec } = this.#options;
    const now = performance.now();
    const record = bar === null ? null : barRecord(bucket, bar);
    let areAllTold = true;
    for (const [listener, partial] of this.#partials) {
      if (partial.dueMs > now) {
        areAllTold = false;
        continue;
      }
      if (record === null || partial.told === record) continue;
      partial.dueMs = now + listener.partialMs!;
      partial.told = record;
      listener.take(barFrame({ ticker, spec, ...found }, "partial_bars", bucket, bar));
    }
    if (!areAllTold) this.#isChanged = true;
    this.#planPartial();
  }
}
