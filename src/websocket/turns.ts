/**
 * What the clients of a worker have to do takes turns with everything else: for so long in one
 * round of the event loop, then the next goes on in the next round. A thousand clients may each ask
 * for a thousand tickers in the same moment.
 */

/** Of one round. */
const TURN_MS = 4;

export interface TurnsOptions {
  /** So many go on in a round whatever time it takes. Default: the first alone. */
  atLeast?: number;
}

export class Turns {
  readonly #atLeast: number;
  readonly #waiting: (() => void)[] = [];
  #untilMs = 0;
  /** Gone on in this round. */
  #gone = 0;
  /** A next round will come. */
  #isGoing = false;

  constructor({ atLeast = 1 }: TurnsOptions = {}) {
    this.#atLeast = atLeast;
  }

  /**
   * @returns null: go on at once; else await it, and don't wrap it: what it does next counts to the
   *   round that it resolves in.
   */
  take(): Promise<void> | null {
    const nowMs = performance.now();
    if (!this.#isGoing) {
      this.#isGoing = true;
      this.#untilMs = nowMs + TURN_MS;
      this.#gone = 1;
      setImmediate(() => this.#nextRound());
      return null;
    }
    if (this.#waiting.length === 0 && (nowMs < this.#untilMs || this.#gone < this.#atLeast)) {
      this.#gone++;
      return null;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #nextRound(): Promise<void> {
    if (this.#waiting.length === 0) {
      this.#isGoing = false;
      return;
    }
    this.#untilMs = performance.now() + TURN_MS;
    this.#gone = this.#atLeast;
    do {
      this.#waiting.shift()?.();
      // Whoever it was goes on before this does.
      await null;
    } while (this.#waiting.length > 0 && performance.now() < this.#untilMs);
    setImmediate(() => this.#nextRound());
  }
}
