/**
 * How long a child that died stays away before the next one is started. Pure: time and chance come
 * from outside.
 */
import { backoffMs } from "../time/pauses.ts";

/** Up to this many deaths of ready children, within the time, lead to a restart at once. */
export const DEATHS_AT_ONCE_MAX = 30;
export const DEATHS_WITHIN_MS = 60_000;
/** Otherwise the second death in a row waits this long, and each further one twice as long. */
export const RESTART_PAUSE_FIRST_MS = 250;
export const RESTART_PAUSE_MAX_MS = 30_000;
const PAUSES = { firstMs: RESTART_PAUSE_FIRST_MS, maxMs: RESTART_PAUSE_MAX_MS };
/**
 * A pause is stretched or shortened by up to this share, so that children that died together don't
 * come back together.
 */
export const RESTART_JITTER = 0.2;

export interface Death {
  nowMs: number;
  /** Time from `ready` to death; 0 if the child never was ready. */
  livedMs: number;
}

export interface Restart {
  pauseMs: number;
  /** Deaths in a row, with this one. */
  deaths: number;
  /** From the first death in a row to this one. */
  spanMs: number;
}

export class RestartPolicy {
  readonly #random: () => number;
  /** Times of deaths that led to a restart at once. */
  #atOnce: number[] = [];
  #deaths = 0;
  #firstDeathMs = 0;

  /** @param random Returns 0 … 1, as Math.random does. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  afterDeath({ nowMs, livedMs }: Death): Restart {
    this.#atOnce = this.#atOnce.filter((ms) => nowMs - ms < DEATHS_WITHIN_MS);
    if (livedMs > 0 && this.#atOnce.length < DEATHS_AT_ONCE_MAX) {
      this.#atOnce.push(nowMs);
      this.#deaths = 0;
      return { pauseMs: 0, deaths: this.#atOnce.length, spanMs: nowMs - this.#atOnce[0]! };
    }
    if (this.#deaths === 0) this.#firstDeathMs = nowMs;
    this.#deaths += 1;
    return { pauseMs: this.#pauseMs(), deaths: this.#deaths, spanMs: nowMs - this.#firstDeathMs };
  }

  #pauseMs(): number {
    if (this.#deaths === 1) return 0;
    const plain = backoffMs(PAUSES, this.#deaths - 2);
    return Math.round(plain * (1 + RESTART_JITTER * (2 * this.#random() - 1)));
  }
}
