/** How many requests a worker has under way to its upstream: the bound on its connections. */
import { unavailable } from "../../protocol/errors.ts";

/** Requests that wait for a slot, and how long. */
const WAITING_MAX = 10_000;
const WAIT_MAX_MS = 10_000;

export interface SlotRequest {
  /**
   * May be under way for long: a large answer that is read slowly, SQL. Those leave some slots to
   * the others.
   */
  long: boolean;
  signal?: AbortSignal | undefined;
}

interface Waiter {
  order: number;
  grant(): void;
}

export class Slots {
  readonly #size: number;
  readonly #longMax: number;
  #active = 0;
  #long = 0;
  #order = 0;
  /** In order of arrival. */
  readonly #waiting = { long: new Set<Waiter>(), short: new Set<Waiter>() };

  constructor(size: number) {
    this.#size = size;
    this.#longMax = size - Math.min(size - 1, Math.max(1, Math.floor(size / 4)));
  }

  get active(): number {
    return this.#active;
  }

  get waiting(): number {
    return this.#waiting.long.size + this.#waiting.short.size;
  }

  /**
   * @returns What gives the slot back; a second call does nothing.
   * @throws RequestError 503 too many wait, or it took too long; the signal's reason when it
   *   aborts.
   */
  async take({ long, signal }: SlotRequest): Promise<() => void> {
    if (!this.#isFree(long)) await this.#wait(long, signal);
    else this.#count(long, 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#count(long, -1);
      this.#grantNext();
    };
  }

  #isFree(long: boolean): boolean {
    return this.#active < this.#size && (!long || this.#long < this.#longMax);
  }

  #count(long: boolean, change: 1 | -1): void {
    this.#active += change;
    if (long) this.#long += change;
  }

  async #wait(long: boolean, signal: AbortSignal | undefined): Promise<void> {
    if (this.waiting >= WAITING_MAX) {
      throw unavailable(`${WAITING_MAX} requests wait for the upstream already; try again`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const queue = long ? this.#waiting.long : this.#waiting.short;
    const waiter: Waiter = { order: this.#order++, grant: resolve };
    queue.add(waiter);
    // At once: a waiter that has given up must not be granted a slot before it hears of that.
    const giveUp = (reason: Error): void => {
      if (queue.delete(waiter)) reject(reason);
    };
    const aborted = (): void => giveUp(signal?.reason as Error);
    const timer = setTimeout(
      () => giveUp(unavailable(`no connection to the upstream was free for ${WAIT_MAX_MS / 1000} s`)),
      WAIT_MAX_MS,
    );
    signal?.addEventListener("abort", aborted);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
    }
  }

  /**
   * Whoever has waited longest of those that may go; the slot belongs to that waiter from then on.
   */
  #grantNext(): void {
    for (;;) {
      const [short] = this.#waiting.short;
      const [long] = this.#isFree(true) ? this.#waiting.long : [];
      const isLong = long !== undefined && (short === undefined || long.order < short.order);
      const next = isLong ? long : short;
      if (next === undefined || !this.#isFree(isLong)) return;
      (isLong ? this.#waiting.long : this.#waiting.short).delete(next);
      this.#count(isLong, 1);
      next.grant();
    }
  }
}
