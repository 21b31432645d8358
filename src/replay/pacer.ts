/**
 * The rhythm of a replay. Due times count from the start, so that delays don't add up: late frames
 * are due at once until the replay is on schedule again.
 */
import { sleep } from "../time/pauses.ts";

export interface PacerOptions {
  /** How many times faster than it happened; Infinity waits for nothing. */
  speed: number;
  /** Longer gaps are shortened to this. */
  gapMicrosMax?: number;
  clock?: PacerClock;
}

/** Tests set their own time. */
export interface PacerClock {
  /** Monotonic. */
  nowMs(): number;
  /** Resolves after `ms`, or when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Timers hold at most 24 days. */
const SLEEP_MS_MAX = 3_600_000;

const REAL_CLOCK: PacerClock = { nowMs: () => performance.now(), sleep };

export class Pacer {
  readonly #speed: number;
  readonly #gapMicrosMax: number;
  readonly #clock: PacerClock;
  #startedMs = 0;
  /** The time that was due at the start, moved on by the parts left out of long gaps. */
  #originMicros: number | null = null;
  #lastMicros = 0;

  constructor({ speed, gapMicrosMax = Number.POSITIVE_INFINITY, clock = REAL_CLOCK }: PacerOptions) {
    this.#speed = speed;
    this.#gapMicrosMax = gapMicrosMax;
    this.#clock = clock;
  }

  /**
   * Schedules the next time; the first is due now.
   *
   * @param atMicros microseconds since 1970. One before its predecessor is due together with it.
   * @returns when it is due, by the clock, in ms.
   */
  schedule(atMicros: number): number {
    if (this.#originMicros === null) {
      this.#originMicros = atMicros;
      this.#lastMicros = atMicros;
      this.#startedMs = this.#clock.nowMs();
    }
    if (atMicros > this.#lastMicros) {
      const leftOut = atMicros - this.#lastMicros - this.#gapMicrosMax;
      if (leftOut > 0) this.#originMicros += leftOut;
      this.#lastMicros = atMicros;
    }
    return this.#startedMs + (this.#lastMicros - this.#originMicros) / 1_000 / this.#speed;
  }

  /** Resolves at that time, at once if it is past, or when the signal is aborted. */
  async until(dueMs: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const leftMs = dueMs - this.#clock.nowMs();
      if (leftMs <= 0 || signal.aborted) return;
      await this.#clock.sleep(Math.min(leftMs, SLEEP_MS_MAX), signal);
    }
  }

  /** ms by which `dueMs` has passed; 0 if it hasn't. */
  behindMs(dueMs: number): number {
    return Math.max(0, this.#clock.nowMs() - dueMs);
  }

  /** The time that is played now, at most the last scheduled one; null before the first. */
  positionMicros(): number | null {
    if (this.#originMicros === null) return null;
    const elapsedMs = this.#clock.nowMs() - this.#startedMs;
    if (elapsedMs <= 0) return Math.min(this.#originMicros, this.#lastMicros);
    return Math.min(this.#lastMicros, this.#originMicros + elapsedMs * 1_000 * this.#speed);
  }
}
