/**
 * Notices that the file of the database is not any more what was opened: removed, replaced, truncated, overwritten, without
 * its write-ahead log, or on a disk that has gone. What is written then is gone with the process, and what is read is wrong.
 */
import { openSync, readSync, realpathSync, type Stats, statSync } from "node:fs";
import { unavailable } from "../protocol/errors.ts";
import { DatabaseGoneError } from "./contract.ts";

/** What the first bytes of a file say. */
export interface FileHead {
  /** Grows when the engine writes the file. */
  generation: number;
  /** The file has at least so many bytes. */
  bytesMin: number;
}

export interface FileFormat {
  headBytes: number;
  /** Null: these are not the first bytes of such a file. */
  readHead(bytes: Buffer): FileHead | null;
  /** Beside the file, as endings of its name: those that stay, once they are there, for as long as it is open. */
  companions: readonly string[];
}

interface Companion {
  path: string;
  file: Pick<Stats, "dev" | "ino"> | null;
}

/**
 * By device and inode. Never closed: closing any descriptor of a file drops all locks that the process holds on it, those
 * of the engine too (POSIX).
 */
const descriptors = new Map<string, number>();

export class OpenedFile {
  readonly #path: string;
  readonly #format: FileFormat;
  readonly #file: Stats;
  readonly #fd: number;
  readonly #head: Buffer;
  readonly #companions: Companion[];
  #size: number;
  #generation = -1;
  /** What can't be undone, as the engine has read, or written, what was there. */
  #damage: string | null = null;
  #wasLooked = false;

  /** @param path of a file that the engine has open now. */
  constructor(path: string, format: FileFormat) {
    this.#path = path;
    this.#format = format;
    this.#file = statSync(path);
    this.#size = this.#file.size;
    const key = `${this.#file.dev}:${this.#file.ino}`;
    const fd = descriptors.get(key) ?? openSync(path, "r");
    descriptors.set(key, fd);
    this.#fd = fd;
    this.#head = Buffer.alloc(format.headBytes);
    // That is what the engine names them after.
    const real = realpathSync(path);
    this.#companions = format.companions.map((ending) => ({ path: real + ending, file: null }));
  }

  /**
   * Why the file can't be served any more; null: all is well. Takes 2 µs, and 1 µs for each companion.
   *
   * @param companions How many of them are looked at, the first ones.
   */
  lost(companions = this.#companions.length): string | null {
    if (this.#damage !== null) return this.#damage;
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
    this.#damage = this.#findDamage(now.size);
    return this.#damage;
  }

  /** @throws DatabaseGoneError */
  check(companions?: number): void {
    const lost = this.lost(companions);
    if (lost !== null) throw new DatabaseGoneError(lost);
  }

  /** For reads: looks once in each turn of the event loop. @throws RequestError 503 */
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
    // The engine makes it shorter only when it has written it.
    if (size < this.#size && (head.generation === this.#generation || size < head.bytesMin))
      return this.#told("truncated", restore);
    this.#generation = head.generation;
    this.#size = size;
    return null;
  }

  #told(what: string, advice: string): string {
    return `${this.#path} was ${what} while the server had it open; ${advice}`;
  }
}

function isSame(a: Pick<Stats, "dev" | "ino">, b: Pick<Stats, "dev" | "ino">): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}
