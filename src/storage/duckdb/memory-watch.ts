/**
 * Watches the memory of the process while statements of users run. DuckDB counts its tables and
 * results; some functions (`levenshtein`, `damerau_levenshtein`) and the answers take more.
 */
import { MIB } from "../../config/units.ts";

/** DuckDB writes about 5 MB a millisecond. */
const LOOK_EVERY_MS = 25;
/** Beside DuckDB's memory: the process, answers on their way, and what allocators keep. */
const ROOM_BYTES = 1536 * MIB;
const LEAST_ROOM_BYTES = 256 * MIB;
/** Part of what all processes of the server may take. */
const SHARE_OF_SERVER = 0.6;
/** Memory grows so far beyond the limit only if a statement doesn't stop. */
const LAST_ROOM_BYTES = 1024 * MIB;
const LAST_SHARE_OF_SERVER = 0.2;
/** A statement may take this much more than what stays taken after others. */
const AFTER_OTHERS_BYTES = 128 * MIB;
/**
 * If the process has grown by more when a statement ends, garbage is collected: the runtime doesn't
 * know how large results of DuckDB are.
 */
const LEAVINGS_BYTES = 128 * MIB;

export interface MemoryWatchOptions {
  /** For DuckDB. */
  memoryLimitMb: number;
  /** For all processes of the server; null: no bound. */
  serverMemoryBytes: number | null;
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
  readonly #lastRoom: number;
  #limit = 0;
  #bytesBefore = 0;
  /** At the last look, if it stopped statements. */
  #bytesAtStop: number | null = null;
  #timer: Timer | null = null;
  #running = 0;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
    this.#residentBytes = options.residentBytes ?? (() => process.memoryUsage.rss());
    const ofDuckDb = options.memoryLimitMb * MIB;
    const ofServer = options.serverMemoryBytes ?? Number.POSITIVE_INFINITY;
    this.#fixedLimit = Math.min(
      ofDuckDb + ROOM_BYTES,
      Math.max(ofDuckDb + LEAST_ROOM_BYTES, ofServer * SHARE_OF_SERVER),
    );
    this.#lastRoom = Math.min(LAST_ROOM_BYTES, ofServer * LAST_SHARE_OF_SERVER);
  }

  begin(): void {
    this.#running++;
    if (this.#timer !== null) return;
    // What earlier statements left must not end later ones.
    this.#bytesBefore = this.#residentBytes();
    this.#limit = Math.max(this.#fixedLimit, this.#bytesBefore + AFTER_OTHERS_BYTES);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  end(): void {
    this.#running--;
    if (this.#residentBytes() > this.#bytesBefore + LEAVINGS_BYTES) setImmediate(() => Bun.gc(true));
    if (this.#running > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#bytesAtStop = null;
  }

  #look(): void {
    const bytes = this.#residentBytes();
    const bytesAtStop = this.#bytesAtStop;
    this.#bytesAtStop = bytes > this.#limit ? bytes : null;
    if (this.#bytesAtStop === null) return;
    const { stop, endProcess } = this.#options;
    // A stopped statement gives memory back in a moment; one that doesn't heed takes more.
    const grows = bytesAtStop !== null && bytes > bytesAtStop;
    if (grows && bytes > this.#limit + this.#lastRoom && endProcess !== null) {
      endProcess(`SQL that was stopped goes on taking memory, ${megabytes(bytes)} MB by now`);
      return;
    }
    stop(`the server's process took more than ${megabytes(this.#limit)} MB of memory while it ran`);
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / MIB);
}
