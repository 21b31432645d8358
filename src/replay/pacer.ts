/**
 * The rhythm of a replay. Every moment is due a fixed time after the first one, so that late timers
 * and slow receivers don't add up: what is late is due at once, until the replay is on its schedule
 * again.
 */
import { sleep } from "../time/pauses.ts";

export interface PacerOptions {
  /** How many times faster than it happened; Infinity waits for nothing. */
  speed: number;
  /** Longer gaps count as this long. */
  gapMicrosMax?: number;
  clock?: PacerClock;
}

/** A parameter so that a test can set the time. */
export interface PacerClock {
  /** Monotonic. */
  nowMs(): number;
  /** Resolves after the time, or when the signal comes. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Timers take no more than 24 days. */
const SLEEP_MS_MAX = 3_600_000;

const REAL_CLOCK: PacerClock = { nowMs: () => performance.now(), sleep };

export class Pacer {
  readonly #speed: number;
  readonly #gapMicrosMax: number;
  readonly #clock: PacerClock;
  #startedMs = 0;
  /** The moment that was due at the start; moved on by what was left out of long gaps. */
  #originMicros: number | null = null;
  #lastMicros = 0;

  constructor({ speed, gapMicrosMax = Number.POSITIVE_INFINITY, clock = REAL_CLOCK }: PacerOptions) {
    this.#speed = speed;
    this.#gapMicrosMax = gapMicrosMax;
    this.#clock = clock;
  }

  /**
   * Takes the next moment into the schedule; the first is due now.
   *
   * @param atMicros microseconds since 1970; one before its predecessor is due when that was.
   * @returns When it is due, by the clock.
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

  /** Resolves when that time has come, at once if it is past, or when the signal comes. */
  async until(dueMs: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const leftMs = dueMs - this.#clock.nowMs();
      if (leftMs <= 0 || signal.aborted) return;
      await this.#clock.sleep(Math.min(leftMs, SLEEP_MS_MAX), signal);
    }
  }

  /** How late it is for what was due then; 0 when it is in time. */
  behindMs(dueMs: number): number {
    return Math.max(0, this.#clock.nowMs() - dueMs);
  }

  /** The moment that is played now, never beyond the one scheduled last; null before the first. */
  positionMicros(): number | null {
    if (this.#originMicros === null) return null;
    const elapsedMs = this.#clock.nowMs() - this.#startedMs;
    if (elapsedMs <= 0) return Math.min(this.#originMicros, this.#lastMicros);
    return Math.min(this.#lastMicros, this.#originMicros + elapsedMs * 1_000 * this.#speed);
  }
}
