/** Bounds a worker's requests under way to its upstream, and so its connections. */
import { unavailable } from "../../protocol/errors.ts";
import { WaitingLine } from "../waiting-line.ts";

/** Limits for the requests that wait for a slot. */
const WAITING_MAX = 10_000;
const WAIT_MAX_MS = 10_000;

export interface SlotRequest {
  /** A large answer or SQL, which may last. Such requests leave some slots to the others. */
  long: boolean;
  signal?: AbortSignal | undefined;
}

export class Slots {
  readonly #size: number;
  readonly #longMax: number;
  #active = 0;
  #long = 0;
  #arrivals = 0;
  readonly #waiting = { long: newLine(), short: newLine() };

  constructor(size: number) {
    this.#size = size;
    this.#longMax = size - Math.min(size - 1, Math.max(1, Math.floor(size / 4)));
  }

  get active(): number {
    return this.#active;
  }

  get waiting(): number {
    return this.#waiting.long.length + this.#waiting.short.length;
  }

  /**
   * @returns gives the slot back; a second call does nothing.
   * @throws RequestError 503 too many wait, or it took too long. @throws the signal's reason.
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
    if (this.waiting >= WAITING_MAX)
      throw unavailable(`${WAITING_MAX} requests wait for the upstream already; try again`);
    const line = long ? this.#waiting.long : this.#waiting.short;
    await line.wait(WAIT_MAX_MS, signal, { want: this.#arrivals++ });
  }

  /** Serves the longest waiting of those that may go. */
  #grantNext(): void {
    const { short, long } = this.#waiting;
    for (;;) {
      const firstShort = short.first ?? Number.POSITIVE_INFINITY;
      const firstLong = (this.#isFree(true) ? long.first : undefined) ?? Number.POSITIVE_INFINITY;
      const isLong = firstLong < firstShort;
      const line = isLong ? long : short;
      if (line.length === 0 || !this.#isFree(isLong)) return;
      this.#count(isLong, 1);
      line.give();
    }
  }
}

/** Waiters are numbered by arrival. */
function newLine(): WaitingLine<void, number> {
  return new WaitingLine({
    late: "no connection to the upstream was free",
    gone: (reason) => reason,
  });
}
