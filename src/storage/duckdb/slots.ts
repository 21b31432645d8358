/**
 * How many calls of one kind DuckDB works on at the same time. Each of its calls takes a thread of
 * the runtime's pool for as long as it lasts; with none left, everything that needs one hangs:
 * other queries, files, names.
 */
import { WaitingLine } from "../waiting-line.ts";

/** Small reads and the pages of large ones. */
export const READ_CALLS_MAX = 4;
/** Statements of users. */
const USER_STATEMENTS_MAX = 4;
/** Statements of users that run in place of others which were stopped and don't end. */
const SUBSTITUTES_MAX = 2;
const WRITER_CALLS = 1;
/** What else the process does with the pool: files, names, compression. */
const OTHER_WORK = 8;
/** UV_THREADPOOL_SIZE that a process with an open DuckDB must have been started with, at least. */
const THREAD_POOL_SIZE = READ_CALLS_MAX + USER_STATEMENTS_MAX + SUBSTITUTES_MAX + WRITER_CALLS + OTHER_WORK;

/**
 * Two at least, so that a short one passes a long one, and no more than DuckDB has threads: each
 * works on its thread of the pool too, and saves and reads must get their share of the machine.
 * One, where the process was started with the runtime's own pool of a thread a CPU: then it must
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
