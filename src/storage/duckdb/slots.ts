/**
 * Bounds the calls of one kind that DuckDB works on at the same time. Each keeps a thread of the
 * runtime's pool. With none left, everything that needs one hangs: queries, files, names.
 */
import { WaitingLine } from "../waiting-line.ts";

/** Small reads and the pages of large ones. */
export const READ_CALLS_MAX = 4;
/** Statements of users. */
const USER_STATEMENTS_MAX = 4;
/** Statements of users that run in place of stopped ones that don't end. */
const SUBSTITUTES_MAX = 2;
const WRITER_CALLS = 1;
/** What else the process needs threads for: files, names, compression. */
const OTHER_WORK = 8;
/** A process that opens DuckDB must be started with at least this UV_THREADPOOL_SIZE. */
const THREAD_POOL_SIZE = READ_CALLS_MAX + USER_STATEMENTS_MAX + SUBSTITUTES_MAX + WRITER_CALLS + OTHER_WORK;

/**
 * At least two, so that a short statement passes a long one. At most as many as DuckDB has threads,
 * so that saves and reads get their share of the machine. One, where the process was started with
 * the runtime's own small pool, so that others find a thread.
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
  /** What the calls do, for the message of the 503. */
  what: string;
  max: number;
  waitingMax: number;
}

export class Slots {
  readonly max: number;
  readonly #line: WaitingLine;
  #taken = 0;

  constructor({ what, max, waitingMax }: SlotOptions) {
    this.max = max;
    this.#line = new WaitingLine({
      what,
      max: waitingMax,
      full: `${max} are at work and ${waitingMax} wait`,
      late: `${max} stayed at work`,
    });
  }

  get taken(): number {
    return this.#taken;
  }

  /** @throws RequestError 503 too many wait, or none came free in time; 499 the signal aborts. */
  async take(waitMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#taken < this.max) this.#taken++;
    else await this.#line.wait(waitMs, signal);
  }

  give(): void {
    if (!this.#line.give()) this.#taken--;
  }
}
