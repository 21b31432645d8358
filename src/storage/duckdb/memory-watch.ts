/**
 * Watches the process's memory while users' statements run. DuckDB doesn't count what answers and
 * functions such as `levenshtein` take.
 */
import { MIB } from "../../config/units.ts";

/** DuckDB writes about 5 MB a millisecond. */
const LOOK_EVERY_MS = 25;
/** Room besides DuckDB's memory: the process, answers under way, and what allocators keep. */
const ROOM_BYTES = 1536 * MIB;
const LEAST_ROOM_BYTES = 256 * MIB;
/** A share of the bound of all processes of the server. */
const SHARE_OF_SERVER = 0.6;
/** Memory grows this far beyond the limit only if a statement doesn't stop. */
const LAST_ROOM_BYTES = 1024 * MIB;
const LAST_SHARE_OF_SERVER = 0.2;
/** A statement may take this much more than earlier ones have left. */
const AFTER_OTHERS_BYTES = 128 * MIB;
/** More growth calls for a garbage collection: the runtime doesn't know the sizes of results. */
const LEAVINGS_BYTES = 128 * MIB;

export interface MemoryWatchOptions {
  memoryLimitMb: number;
  /** Null: no bound. */
  serverMemoryBytes: number | null;
  residentBytes?: () => number;
  stop(reason: string): void;
  /** Null: the process has other work. */
  endProcess: ((reason: string) => void) | null;
}

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  readonly #residentBytes: () => number;
  readonly #fixedLimit: number;
  readonly #lastRoom: number;
  #limit = 0;
  #bytesBefore = 0;
  /** Null if the last look stopped no statements. */
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
    // Earlier statements' leavings must not end later ones.
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
    // A statement that heeds its stop gives memory back; another takes more.
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
