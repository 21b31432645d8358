/**
 * Notices when the database file is no longer what was opened: removed, replaced, truncated,
 * overwritten, without its write-ahead log, or on a disk that has gone. Writes are then lost with
 * the process, and reads are wrong.
 */
import { fstatSync, openSync, readSync, realpathSync, type Stats, statSync } from "node:fs";
import { unavailable } from "../protocol/errors.ts";
import { DatabaseGoneError } from "./contract.ts";

interface FileHead {
  /** Grows when the engine writes the file. */
  generation: number;
  /** The file has at least so many bytes. */
  bytesMin: number;
}

export interface FileFormat {
  headBytes: number;
  /** Null: no such file begins so. */
  readHead(bytes: Buffer): FileHead | null;
  /**
   * Whether the head is written when the engine makes the file shorter. Else the generation tells
   * it.
   */
  headTellsSize: boolean;
  /** Endings of files beside it. Once they are there, they stay while the file is open. */
  companions: readonly string[];
  /** For an engine that notes what it does to the file. @param path with links resolved. */
  notesOf?(path: string): EngineNotes;
}

export interface EngineNotes {
  look(): EngineNotesLook;
}

export interface EngineNotesLook {
  /** What another program did to the files beside it; null: nothing that shows. */
  damage: string | null;
  /**
   * Changes each time the engine has written the file; null: it is writing now, or that is unknown.
   */
  writtenTo: string | null;
}

/** When the engine had last written it. */
interface Contents {
  writtenTo: string;
  samples: bigint | number;
}

/** Pieces all over the file. They are compared after a write that isn't the engine's. */
const SAMPLES = 32;
const SAMPLE_BYTES = 4_096;

interface Companion {
  path: string;
  file: Pick<Stats, "dev" | "ino"> | null;
}

export class OpenedFile {
  readonly #path: string;
  readonly #format: FileFormat;
  readonly #file: Stats;
  readonly #fd: number;
  readonly #head: Buffer;
  readonly #companions: Companion[];
  readonly #notes: EngineNotes | null;
  #size: number;
  #generation = -1;
  /** The file's time when its samples were last taken. */
  #writtenAtMs = -1;
  #contents: Contents | null = null;
  /** Damage stays: the engine has read, or written, what was there. */
  #damage: string | null = null;
  #wasLooked = false;
  /**
   * The hub's finding, as it looks more often: this process may take a foreign write for a
   * checkpoint.
   */
  toldByOthers: () => string | null = () => null;

  /** @param path The engine has the file open now. */
  constructor(path: string, format: FileFormat) {
    this.#path = path;
    this.#format = format;
    this.#file = statSync(path);
    this.#size = this.#file.size;
    this.#fd = keptDescriptor(path, this.#file);
    this.#head = Buffer.alloc(format.headBytes);
    // SQLite names the companions after it.
    const real = realpathSync(path);
    this.#companions = format.companions.map((ending) => ({ path: real + ending, file: null }));
    this.#notes = format.notesOf?.(real) ?? null;
    this.#findForeignWrite(this.#file);
  }

  /**
   * Why the file can't be served any more; null: it can. Takes 2 µs, 1 µs more a companion, and 4
   * µs more where the engine keeps notes.
   * @param companions So many of them are looked at, the first ones.
   */
  lost(companions = this.#companions.length): string | null {
    const known = this.#damage ?? this.toldByOthers();
    if (known !== null) return known;
    const now = statSync(this.#path, { throwIfNoEntry: false });
    if (now === undefined || !isSame(now, this.#file))
      return this.#told(
        now === undefined ? "removed" : "replaced",
        "put it back, or restart the server on another",
      );
    for (const companion of this.#companions.slice(0, companions)) {
      const beside = statSync(companion.path, { throwIfNoEntry: false });
      if (companion.file === null) companion.file = beside ?? null;
      else if (beside === undefined || !isSame(beside, companion.file))
        return `${companion.path} was ${beside === undefined ? "removed" : "replaced"} while the server had it open; put it back, or stop the server and start it again`;
    }
    this.#damage = this.#findDamage(now.size) ?? this.#findForeignWrite(now);
    return this.#damage;
  }

  /** @throws DatabaseGoneError */
  check(companions?: number): void {
    const lost = this.lost(companions);
    if (lost !== null) throw new DatabaseGoneError(lost);
  }

  /** Looks once in each turn of the event loop. @throws RequestError 503 */
  checkForRead(): void {
    if (this.#wasLooked) return;
    const lost = this.lost();
    if (lost !== null) throw unavailable(`read: ${lost}`);
    this.#wasLooked = true;
    setImmediate(() => {
      this.#wasLooked = false;
    });
  }

  #findDamage(size: number): string | null {
    const restore = "restore it from a copy, and restart the server";
    const length = readSync(this.#fd, this.#head, 0, this.#head.length, 0);
    if (length < this.#head.length) {
      // A new database has none yet.
      return this.#size < this.#head.length ? null : this.#told("truncated", restore);
    }
    const head = this.#format.readHead(this.#head);
    if (head === null || head.generation < this.#generation) return this.#told("overwritten", restore);
    if (size < this.#size) {
      // The engine makes it shorter only after it has written it.
      const isUnwritten = !this.#format.headTellsSize && head.generation === this.#generation;
      const isTooShort = fstatSync(this.#fd).size < head.bytesMin;
      // A checkpoint writes the head before what makes the file longer.
      if (isTooShort && !isUnwritten && this.#isBeingWritten()) return null;
      if (isTooShort || isUnwritten) return this.#told("truncated", restore);
    }
    this.#generation = head.generation;
    this.#size = size;
    return null;
  }

  /** Or nothing is known of it. */
  #isBeingWritten(): boolean {
    return this.#notes !== null && this.#notes.look().writtenTo === null;
  }

  /**
   * The engine notes each write before and after it. A write without a note is another program's,
   * such as a database that was copied over this one. It is no damage where the contents are as
   * before: `touch` changes only the time.
   */
  #findForeignWrite({ mtimeMs, size }: Stats): string | null {
    const look = this.#notes?.look();
    if (look === undefined) return null;
    const { damage, writtenTo } = look;
    if (damage !== null || writtenTo === null) return damage;
    if (mtimeMs === this.#writtenAtMs && writtenTo === this.#contents?.writtenTo) return null;
    const samples = this.#sample(size);
    if (this.#notes?.look().writtenTo !== writtenTo) return null;
    if (this.#contents?.writtenTo === writtenTo && this.#contents.samples !== samples)
      return this.#told("overwritten", "restore it from a copy, and restart the server");
    this.#contents = { writtenTo, samples };
    this.#writtenAtMs = mtimeMs;
    return null;
  }

  #sample(size: number): bigint | number {
    const bytes = Buffer.alloc(SAMPLES * SAMPLE_BYTES);
    const last = Math.max(0, size - SAMPLE_BYTES);
    for (let n = 0; n < SAMPLES; n++) {
      const at = Math.floor((last * n) / (SAMPLES - 1) / SAMPLE_BYTES) * SAMPLE_BYTES;
      readSync(this.#fd, bytes, n * SAMPLE_BYTES, SAMPLE_BYTES, at);
    }
    return Bun.hash(bytes);
  }

  #told(what: string, advice: string): string {
    return `${this.#path} was ${what} while the server had it open; ${advice}`;
  }
}

function isSame(a: Pick<Stats, "dev" | "ino">, b: Pick<Stats, "dev" | "ino">): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/** By device and inode. */
const descriptors = new Map<string, number>();

/**
 * A descriptor for looking at a file that the engine has open. It is never closed: closing any
 * descriptor of a file drops all locks of the process on it, the engine's too (POSIX).
 *
 * @param file The file at the path now.
 */
export function keptDescriptor(path: string, { dev, ino }: Pick<Stats, "dev" | "ino">): number {
  const key = `${dev}:${ino}`;
  const fd = descriptors.get(key) ?? openSync(path, "r");
  descriptors.set(key, fd);
  return fd;
}
