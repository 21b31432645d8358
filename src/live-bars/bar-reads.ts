/**
 * The reads of live bars in a worker: few at once, those of bars that have just closed first, and
 * none of one ticker and spec for most of the time.
 */

import { RequestError } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { WatchedBars } from "./watched-bars.ts";

/** Fewer than the walks that a worker has at once: others have theirs. */
const READS_MAX = 2;
/** Corrected and running bars are read for at most this part of the time. */
const REST_FACTOR = 10;
const REST_MS_MAX = 10_000;
const RETRY_MS = 500;

export interface BarReadsOptions {
  signal: AbortSignal;
  warn(message: string): void;
}

export class BarReads {
  readonly #options: BarReadsOptions;
  readonly #urgent = new Set<WatchedBars>();
  readonly #others = new Set<WatchedBars>();
  readonly #underWay = new Set<WatchedBars>();
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
    while (this.#underWay.size < READS_MAX && !this.#options.signal.aborted) {
      const watched = this.#take();
      if (watched === null) return;
      void this.#run(watched);
    }
  }

  #take(): WatchedBars | null {
    for (const watched of this.#urgent) {
      if (this.#underWay.has(watched)) continue;
      this.#urgent.delete(watched);
      this.#others.delete(watched);
      return watched;
    }
    for (const watched of this.#others) {
      if (this.#underWay.has(watched)) continue;
      this.#others.delete(watched);
      if (!this.#rests(watched)) return watched;
    }
    return null;
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

  async #run(watched: WatchedBars): Promise<void> {
    const { signal, warn } = this.#options;
    this.#underWay.add(watched);
    const startMs = performance.now();
    let restMs = 0;
    try {
      await watched.work(signal);
      restMs = Math.min(REST_MS_MAX, (performance.now() - startMs) * REST_FACTOR);
    } catch (error) {
      if (!signal.aborted) warn(`Live bars of ${watched.ticker} can't be read now: ${messageOf(error)}`);
      // What no later read can mend must not go on for ever.
      if (error instanceof RequestError) this.#others.add(watched);
      else watched.giveUp();
      restMs = RETRY_MS;
    } finally {
      this.#underWay.delete(watched);
    }
    if (watched.isOver) this.forget(watched);
    else {
      clearTimeout(this.#resting.get(watched)?.timer ?? undefined);
      this.#resting.set(watched, { untilMs: performance.now() + restMs, timer: null });
    }
    this.#next();
  }
}
