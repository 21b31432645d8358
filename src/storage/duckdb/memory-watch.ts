/**
 * Watches the memory of the process while statements of users run. DuckDB keeps count of its tables and results, but some of its functions (`levenshtein`,
 * `damerau_levenshtein`) take memory beside that, and answers take some here.
 */

/** As for SQL runners. */
const LOOK_EVERY_MS = 100;
/** Beside DuckDB's memory: the process itself, answers of users that are being written and sent, and what allocators keep of earlier ones. */
const ROOM_BYTES = 1536 * 2 ** 20;
/** Beyond the limit at which statements are stopped: memory still grows by this only if one doesn't stop. */
const LAST_ROOM_BYTES = 1024 * 2 ** 20;
/** By which the process may have grown when a statement ends before its leavings are collected. The runtime doesn't know how large results of DuckDB are. */
const LEAVINGS_BYTES = 128 * 2 ** 20;

export interface MemoryWatchOptions {
  /** Of DuckDB. */
  memoryLimitMb: number;
  residentBytes?: () => number;
  /** Stops all statements of users. */
  stop(reason: string): void;
  /** Ends the process with the reason; null where it has other work to do. */
  endProcess: ((reason: string) => void) | null;
}

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  readonly #residentBytes: () => number;
  readonly #fixedLimit: number;
  #limit = 0;
  #bytesBefore = 0;
  /** At the look before this one. */
  #stopped = false;
  #timer: Timer | null = null;
  #running = 0;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
    this.#residentBytes = options.residentBytes ?? (() => process.memoryUsage.rss());
    this.#fixedLimit = options.memoryLimitMb * 2 ** 20 + ROOM_BYTES;
  }

  begin(): void {
    this.#running++;
    if (this.#timer !== null) return;
    // What stays taken after others must not end those that come later.
    this.#bytesBefore = this.#residentBytes();
    this.#limit = Math.max(this.#fixedLimit, this.#bytesBefore + ROOM_BYTES / 2);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  end(): void {
    this.#running--;
    if (this.#residentBytes() > this.#bytesBefore + LEAVINGS_BYTES) setImmediate(() => Bun.gc(true));
    if (this.#running > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#stopped = false;
  }

  #look(): void {
    const bytes = this.#residentBytes();
    const wasStopped = this.#stopped;
    this.#stopped = bytes > this.#limit;
    if (!this.#stopped) return;
    const { stop, endProcess } = this.#options;
    if (wasStopped && bytes > this.#limit + LAST_ROOM_BYTES && endProcess !== null) {
      endProcess(`SQL that was stopped goes on taking memory, ${megabytes(bytes)} MB by now`);
      return;
    }
    stop(`the server's process took more than ${megabytes(this.#limit)} MB of memory while it ran`);
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
