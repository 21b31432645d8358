/**
 * The reads of live bars in a worker: few at once, those of bars that have just closed first, and
 * none of one ticker and spec for most of the time.
 */

import type { Bucket } from "../calendar/contract.ts";
import { RequestError } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import { type ReadBars, readBarsOf } from "./read-bars.ts";
import type { WatchedBars } from "./watched-bars.ts";

/** Fewer than the walks that a worker has at once: others have theirs. */
const READS_MAX = 2;
/** Tickers of one read. */
const GROUP_MAX = 200;
/** Corrected and running bars are read for at most this part of the time. */
const REST_FACTOR = 10;
const REST_MS_MAX = 10_000;
const RETRY_MS = 500;

interface ReadGroup {
  bucket: Bucket;
  watched: WatchedBars[];
}

export interface BarReadsOptions {
  signal: AbortSignal;
  warn(message: string): void;
}

export class BarReads {
  readonly #options: BarReadsOptions;
  readonly #urgent = new Set<WatchedBars>();
  readonly #others = new Set<WatchedBars>();
  readonly #busy = new Set<WatchedBars>();
  #underWay = 0;
  /** Those that rest, or wait until the database is back. */
  readonly #resting = new Map<WatchedBars, { untilMs: number; timer: Timer | null }>();

  constructor(options: BarReadsOptions) {
    this.#options = options;
  }

  enqueue(watched: WatchedBars, isUrgent: boolean): void {
    if (isUrgent) this.#urgent.add(watched);
    else this.#others.add(watched);
    this.#next();
  }

  forget(watched: WatchedBars): void {
    this.#urgent.delete(watched);
    this.#others.delete(watched);
    clearTimeout(this.#resting.get(watched)?.timer ?? undefined);
    this.#resting.delete(watched);
  }

  #next(): void {
    while (this.#underWay < READS_MAX && !this.#options.signal.aborted) {
      const group = this.#takeGroup();
      if (group === null) return;
      void this.#run(group);
    }
  }

  /** Those that want the same bucket of the same spec are read together. */
  #takeGroup(): ReadGroup | null {
    let group: ReadGroup | null = null;
    for (const queue of [this.#urgent, this.#others])
      for (const watched of queue) {
        if (this.#busy.has(watched)) continue;
        const bucket = watched.wanted();
        if (bucket === null || (queue === this.#others && this.#rests(watched))) {
          queue.delete(watched);
          continue;
        }
        if (group === null) group = { bucket, watched: [] };
        else if (group.watched[0]!.spec.key !== watched.spec.key || group.bucket.start !== bucket.start)
          continue;
        queue.delete(watched);
        this.#others.delete(watched);
        group.watched.push(watched);
        if (group.watched.length >= GROUP_MAX) return group;
      }
    return group;
  }

  /** It then comes back when it has rested. */
  #rests(watched: WatchedBars): boolean {
    const rest = this.#resting.get(watched);
    const leftMs = (rest?.untilMs ?? 0) - performance.now();
    if (rest === undefined || leftMs <= 0) return false;
    rest.timer ??= setTimeout(() => {
      rest.timer = null;
      this.enqueue(watched, false);
    }, leftMs);
    return true;
  }

  async #run(group: ReadGroup): Promise<void> {
    const { bucket, watched } = group;
    const { signal, warn } = this.#options;
    this.#underWay++;
    const startMs = performance.now();
    let restMs = 0;
    const wanted = new Map(
      watched.map((each) => [each, [...each.alsoWanted(bucket, watched.length), bucket]]),
    );
    for (const [each, buckets] of wanted) {
      this.#busy.add(each);
      for (const one of buckets) each.taken(one);
    }
    try {
      const found = await this.#read(group, [...wanted.values()].flat());
      restMs = Math.min(REST_MS_MAX, ((performance.now() - startMs) * REST_FACTOR) / watched.length);
      await Promise.all(watched.map((each) => each.tell(wanted.get(each)!, found.get(each.ticker)!)));
    } catch (error) {
      if (!signal.aborted) warn(`Live bars of ${watched[0]!.ticker} can't be read now: ${messageOf(error)}`);
      for (const [each, buckets] of wanted) for (const one of buckets) each.untaken(one);
      // What no later read can mend must not go on for ever.
      if (!(error instanceof RequestError)) for (const each of watched) each.giveUp();
      restMs = RETRY_MS;
    } finally {
      this.#underWay--;
    }
    for (const each of watched) {
      this.#busy.delete(each);
      this.#rest(each, restMs);
    }
    this.#next();
  }

  #read({ bucket, watched }: ReadGroup, all: readonly Bucket[]): Promise<Map<string, ReadBars>> {
    const [{ clock, spec, reader }] = watched as [WatchedBars];
    const first = all.reduce((a, b) => (b.start < a.start ? b : a));
    return readBarsOf(reader, {
      tickers: watched.map(({ ticker }) => ticker),
      source: spec.source,
      grid: clock.grid,
      from: clock.stampsOf(first).from,
      until: clock.stampsOf(bucket).until,
      signal: this.#options.signal,
    });
  }

  #rest(watched: WatchedBars, restMs: number): void {
    if (watched.isOver) {
      this.forget(watched);
      return;
    }
    clearTimeout(this.#resting.get(watched)?.timer ?? undefined);
    this.#resting.set(watched, { untilMs: performance.now() + restMs, timer: null });
    this.#others.add(watched);
  }
}
