/**
 * A bounded line of waiters for a scarce thing. Each gets it in order, or gives up after a time.
 */
import { clientGone, unavailable } from "../protocol/errors.ts";

export interface WaitingLineOptions {
  /** In front of each message: "read". */
  what?: string;
  /** The next waiter is refused. Absent: the line's owner has a bound of its own. */
  max?: number;
  /** Message for one who finds the line full. */
  full?: string;
  /** Says what went on all the time, to one who waited in vain. */
  late?: string;
  /** The error when a signal aborts. Absent: 499. */
  gone?: (reason: unknown) => unknown;
}

export interface WaitOptions<Want> {
  /** For the owner of the line. */
  want?: Want;
  /** True: in front of all others, past the bound. */
  ahead?: boolean;
  /** Instead of the line's 503. */
  late?: () => unknown;
}

interface InLine<T, Want> {
  want: Want | undefined;
  give(value: T | PromiseLike<T>): void;
  fail(error: unknown): void;
}

export class WaitingLine<T = void, Want = undefined> {
  readonly #options: WaitingLineOptions;
  readonly #prefix: string;
  /** Not a Set: finding its first member takes long after many before it were deleted. */
  readonly #waiting: InLine<T, Want>[] = [];

  constructor(options: WaitingLineOptions) {
    this.#options = options;
    this.#prefix = options.what === undefined ? "" : `${options.what}: `;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** What the first waiter wants. */
  get first(): Want | undefined {
    return this.#waiting[0]?.want;
  }

  /**
   * @param signal A client that has gone leaves the line at once.
   * @throws RequestError 503: the line is full or too slow; 499: the signal aborts; or what the
   *   options give.
   */
  wait(waitMs: number, signal?: AbortSignal, options: WaitOptions<Want> = {}): Promise<T> {
    const { max = Number.POSITIVE_INFINITY, full, late } = this.#options;
    const { want, ahead = false } = options;
    if (signal?.aborted) return Promise.reject(this.#gone(signal));
    if (!ahead && this.#waiting.length >= max) return Promise.reject(unavailable(`${this.#prefix}${full}`));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // All at once: a waiter that gives up must not be given anything before it hears of that.
    const leave = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    const waiter: InLine<T, Want> = {
      want,
      give(value) {
        leave();
        resolve(value);
      },
      fail(error) {
        leave();
        reject(error);
      },
    };
    const onLate = (): void =>
      waiter.fail(options.late?.() ?? unavailable(`${this.#prefix}${late} for ${waitMs / 1_000} s`));
    const onAbort = (): void => waiter.fail(this.#gone(signal));
    const timer = setTimeout(onLate, Math.max(0, waitMs));
    signal?.addEventListener("abort", onAbort);
    if (ahead) this.#waiting.unshift(waiter);
    else this.#waiting.push(waiter);
    return promise;
  }

  /** Gives to the first waiter. @returns false: there is none. */
  give(value: T | PromiseLike<T>): boolean {
    const first = this.#waiting[0];
    first?.give(value);
    return first !== undefined;
  }

  /** Refuses the first waiter. @returns false: there is none. */
  fail(error: unknown): boolean {
    const first = this.#waiting[0];
    first?.fail(error);
    return first !== undefined;
  }

  #gone(signal: AbortSignal | undefined): unknown {
    const { what = "request", gone = () => clientGone(what) } = this.#options;
    return gone(signal?.reason);
  }
}
