/**
 * Shares the event loop between the work for clients and everything else: after TURN_MS in a round,
 * the rest waits for the next round. A thousand clients may each ask for a thousand tickers in the
 * same moment.
 */

const TURN_MS = 4;

export interface TurnsOptions {
  /** This many go on before a round's time is checked. Default: 1. */
  unlooked?: number;
  /** Time per round. Default: 4 ms. */
  turnMs?: number;
}

export class Turns {
  readonly #unlooked: number;
  readonly #turnMs: number;
  readonly #waiting: (() => void)[] = [];
  #untilMs = 0;
  /** Went on since the last checked round. */
  #gone = 0;
  /** Whether another round is scheduled. */
  #isGoing = false;

  constructor({ unlooked = 1, turnMs = TURN_MS }: TurnsOptions = {}) {
    this.#unlooked = unlooked;
    this.#turnMs = turnMs;
  }

  /**
   * @param nowMs of `performance.now()`, if known.
   * @returns null: go on at once. Otherwise await it directly: a wrapper would put the work into a
   *   later round.
   */
  take(nowMs = performance.now()): Promise<void> | null {
    if (!this.#isGoing) {
      if (++this.#gone < this.#unlooked) return null;
      this.#isGoing = true;
      this.#untilMs = nowMs + this.#turnMs;
      setImmediate(() => this.#nextRound());
      return null;
    }
    if (this.#waiting.length === 0 && nowMs < this.#untilMs) return null;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #nextRound(): Promise<void> {
    if (this.#waiting.length === 0) {
      this.#isGoing = false;
      this.#gone = 0;
      return;
    }
    this.#untilMs = performance.now() + this.#turnMs;
    do {
      this.#waiting.shift()?.();
      // Lets the waiter go on first.
      await null;
    } while (this.#waiting.length > 0 && performance.now() < this.#untilMs);
    setImmediate(() => this.#nextRound());
  }
}
