/**
 * What the clients of a worker have to do takes turns with everything else: for so long in one
 * round of the event loop, then the next goes on in the next round. A thousand clients may each ask
 * for a thousand tickers in the same moment.
 */

/** Of one round. */
const TURN_MS = 4;

export interface TurnsOptions {
  /** So many go on before the time of a round is looked at. Default: one. */
  unlooked?: number;
  /** Of a round. Default: 4 ms. */
  turnMs?: number;
}

export class Turns {
  readonly #unlooked: number;
  readonly #turnMs: number;
  readonly #waiting: (() => void)[] = [];
  #untilMs = 0;
  /** Gone on since the last round that was looked at. */
  #gone = 0;
  /** A next round will come. */
  #isGoing = false;

  constructor({ unlooked = 1, turnMs = TURN_MS }: TurnsOptions = {}) {
    this.#unlooked = unlooked;
    this.#turnMs = turnMs;
  }

  /**
   * @param nowMs of `performance.now()`, where it is known.
   * @returns null: go on at once; else await it, and don't wrap it: what it does next counts to the
   *   round that it resolves in.
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
      // Whoever it was goes on before this does.
      await null;
    } while (this.#waiting.length > 0 && performance.now() < this.#untilMs);
    setImmediate(() => this.#nextRound());
  }
}
