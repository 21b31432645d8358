/**
 * Bounds DuckDB's calls of one kind. Each keeps a thread of the runtime's pool; without a free one,
 * queries, files and names hang.
 */
import { WaitingLine } from "../waiting-line.ts";

export const READ_CALLS_MAX = 4;
const USER_STATEMENTS_MAX = 4;
/** Users' statements that run in place of stuck ones. */
const SUBSTITUTES_MAX = 2;
const WRITER_CALLS = 1;
/** Threads for files, names and compression. */
const OTHER_WORK = 8;
/** The least UV_THREADPOOL_SIZE for a process that opens DuckDB. */
const THREAD_POOL_SIZE = READ_CALLS_MAX + USER_STATEMENTS_MAX + SUBSTITUTES_MAX + WRITER_CALLS + OTHER_WORK;

/**
 * At least two, so that a short statement passes a long one. At most DuckDB's threads, to leave
 * saves and reads their share. One in a process with the runtime's own small pool.
 */
export function userStatementsMax(duckDbThreads: number): number {
  if (!poolIsLarge()) return 1;
  return Math.min(USER_STATEMENTS_MAX, Math.max(2, duckDbThreads));
}

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
