/**
 * How many calls of one kind DuckDB works on at the same time. Each of its calls takes a thread of the runtime's pool for as long as
 * it lasts; with none left, everything that needs one hangs: other queries, files, names.
 */
import { RequestError, unavailable } from "../../protocol/errors.ts";

/** Small reads and the pages of large ones. */
export const READ_CALLS_MAX = 4;
/** Statements of users. */
const USER_STATEMENTS_MAX = 4;
/** Statements of users that run in place of others which were stopped and don't end. */
const SUBSTITUTES_MAX = 2;
const WRITER_CALLS = 1;
/** For the access log: there is nobody to answer. */
const CLIENT_CLOSED_REQUEST = 499;
/** What else the process does with the pool: files, names, compression. */
const OTHER_WORK = 8;
/** UV_THREADPOOL_SIZE that a process with an open DuckDB must have been started with, at least. */
const THREAD_POOL_SIZE = READ_CALLS_MAX + USER_STATEMENTS_MAX + SUBSTITUTES_MAX + WRITER_CALLS + OTHER_WORK;

/**
 * Two at least, so that a short one passes a long one, and no more than DuckDB has threads: each works on its thread of the pool too, and saves and
 * reads must get their share of the machine. One, where the process was started with the runtime's own pool of a thread a CPU: then it must
 * leave one to the others.
 */
export function userStatementsMax(duckDbThreads: number): number {
  if (!poolIsLarge()) return 1;
  return Math.min(USER_STATEMENTS_MAX, Math.max(2, duckDbThreads));
}

/** See `StuckStatements`. */
export function substitutesMax(): number {
  return poolIsLarge() ? SUBSTITUTES_MAX : 0;
}

function poolIsLarge(): boolean {
  return Number(process.env.UV_THREADPOOL_SIZE ?? 0) >= THREAD_POOL_SIZE;
}

export interface SlotOptions {
  /** For the message of the 503. */
  what: string;
  max: number;
  waitingMax: number;
}

export class Slots {
  readonly #options: SlotOptions;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  get taken(): number {
    return this.#taken;
  }

  get max(): number {
    return this.#options.max;
  }

  /** @throws RequestError 503 too many wait, or none came free in time; 499 the signal aborts. */
  async take(waitMs: number, signal?: AbortSignal): Promise<void> {
    const { what, max, waitingMax } = this.#options;
    if (this.#taken < max) {
      this.#taken++;
      return;
    }
    if (this.#waiting.length >= waitingMax) {
      throw unavailable(`${what}: ${max} are at work and ${waitingMax} wait`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = (error: RequestError): void => {
      const at = this.#waiting.indexOf(resolve);
      if (at >= 0) this.#waiting.splice(at, 1);
      reject(error);
    };
    const timer = setTimeout(
      () => giveUp(unavailable(`${what}: ${max} stayed at work for ${waitMs / 1000} s`)),
      waitMs,
    );
    const onAbort = (): void =>
      giveUp(new RequestError(CLIENT_CLOSED_REQUEST, `${what}: the client is gone`));
    signal?.addEventListener("abort", onAbort);
    this.#waiting.push(resolve);
    if (signal?.aborted) onAbort();
    await promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    });
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken--;
    else next();
  }
}
