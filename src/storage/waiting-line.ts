/**
 * Those who wait for something of which there is only so much: in order, so many at the most, each
 * for a bounded time.
 */
import { clientGone, unavailable } from "../protocol/errors.ts";

export interface WaitingLineOptions {
  /** What they want to do, for their errors: "read". */
  what: string;
  max: number;
  /** Why nobody else may wait; in what comes behind `what`. */
  full: string;
  /** What went on for the whole time of somebody who has waited in vain. */
  late: string;
}

export class WaitingLine<T = void> {
  readonly #options: WaitingLineOptions;
  readonly #waiting = new Set<(value: T) => void>();

  constructor(options: WaitingLineOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#waiting.size;
  }

  /**
   * @param signal of a client: who has gone leaves the line at once.
   * @throws RequestError 503 too many wait, or nothing came in time; 499 the signal aborts.
   */
  async wait(waitMs: number, signal?: AbortSignal): Promise<T> {
    const { what, max, full, late } = this.#options;
    if (signal?.aborted) throw clientGone(what);
    if (this.#waiting.size >= max) throw unavailable(`${what}: ${full}`);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // At once: who has given up must not be given anything before he hears of that.
    const giveUp = (error: Error): void => {
      if (this.#waiting.delete(resolve)) reject(error);
    };
    const timer = setTimeout(() => giveUp(unavailable(`${what}: ${late} for ${waitMs / 1_000} s`)), waitMs);
    const onAbort = (): void => giveUp(clientGone(what));
    signal?.addEventListener("abort", onAbort);
    this.#waiting.add(resolve);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** To the first of them. @returns false: nobody waits. */
  give(value: T): boolean {
    const [first] = this.#waiting;
    if (first === undefined) return false;
    this.#waiting.delete(first);
    first(value);
    return true;
  }
}
