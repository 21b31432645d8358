/**
 * What the clients of a worker have to do takes turns with everything else: for so long in one
 * round of the event loop, then the next goes on in the next round. A thousand clients may each ask
 * for a thousand tickers in the same moment.
 */

/** Of one round. */
const TURN_MS = 4;

export class Turns {
  readonly #waiting: (() => void)[] = [];
  #untilMs = 0;
  /** A next round will come. */
  #isGoing = false;

  /**
   * @returns null: go on at once; else await it, and don't wrap it: what it does next counts to the
   *   round that it resolves in.
   */
  take(): Promise<void> | null {
    const nowMs = performance.now();
    if (!this.#isGoing) {
      this.#isGoing = true;
      this.#untilMs = nowMs + TURN_MS;
      setImmediate(() => this.#nextRound());
      return null;
    }
    if (this.#waiting.length === 0 && nowMs < this.#untilMs) return null;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #nextRound(): Promise<void> {
    if (this.#waiting.length === 0) {
      this.#isGoing = false;
      return;
    }
    this.#untilMs = performance.now() + TURN_MS;
    do {
      this.#waiting.shift()?.();
      // Whoever it was goes on before this does.
      await null;
    } while (this.#waiting.length > 0 && performance.now() < this.#untilMs);
    setImmediate(() => this.#nextRound());
  }
}
