/** Has the write-ahead log begun anew, and does it belong to the database beside it? */
import { constants, Database } from "bun:sqlite";
import { closeSync, existsSync, openSync, readSync, realpathSync, rmSync, statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { type EpochWitness, type Given, setLogAside } from "../epoch-witness.ts";

/** sqlite.org/fileformat.html, "The Write-Ahead Log". */
const HEADER_BYTES = 32;
const PAGE_SIZE_OFFSET = 8;
/** They change each time the log begins anew. */
const SALTS = { offset: 16, offsetInFrame: 8, bytes: 8 };
const FRAME_HEADER_BYTES = 24;
/** Not 0 in the last frame of a commit. */
const COMMIT_OFFSET = 4;

export class WriteAheadLog {
  readonly #path: string;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #known = "";
  #fd: number | null = null;

  constructor(dbPath: string) {
    this.#path = `${realpathSync(dbPath)}-wal`;
  }

  /** True if it has begun anew since the last call: then the file holds all that came before. */
  hasBegunAnew(): boolean {
    if (this.#fd === null) {
      if (!existsSync(this.#path)) return false;
      this.#fd = openSync(this.#path, "r");
    }
    const bytes = readSync(this.#fd, this.#header, 0, HEADER_BYTES, 0);
    const now = this.#header.toString("latin1", 0, bytes);
    if (now === this.#known) return false;
    this.#known = now;
    return true;
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

/**
 * Renames a log that belongs to another database, such as the one before a restored copy: SQLite
 * would mix their pages. Call it before the database is opened.
 * @param expected The file itself holds at least this if the log is its own; null: unknown.
 * @returns what was done, for the log; null: nothing.
 */
export function setForeignLogAside(dbPath: string, expected: EpochWitness["inFile"]): string | null {
  const real = realpathSync(dbPath);
  const log = statSync(`${real}-wal`, { throwIfNoEntry: false });
  if (expected === null || log === undefined || log.size <= HEADER_BYTES) return null;
  const inFile = readWithoutLog(real);
  if (inFile !== null && inFile.epoch === expected.epoch && inFile.newestId >= expected.to) return null;
  if (isPartlyInFile(real)) return null;
  const told = setLogAside(`${real}-wal`);
  rmSync(`${real}-shm`, { force: true });
  return told;
}

/**
 * A killed checkpoint leaves a file that can't be read without its log. A checkpoint writes pages
 * in ascending order: those of the whole log, or of the commits before a reader's snapshot. So it
 * has begun if the file has the log's version of the lowest page of its first commits, however
 * many.
 */
function isPartlyInFile(real: string): boolean {
  const log = openSync(`${real}-wal`, "r");
  const file = openSync(real, "r");
  try {
    const header = bytesAt(log, 0, HEADER_BYTES);
    const pageBytes = header.readUInt32BE(PAGE_SIZE_OFFSET);
    const salts = header.subarray(SALTS.offset, SALTS.offset + SALTS.bytes);
    const lowestPages = new Set<number>();
    const frames: { page: number; at: number }[] = [];
    let lowest = Number.POSITIVE_INFINITY;
    for (let at = HEADER_BYTES; ; at += FRAME_HEADER_BYTES + pageBytes) {
      const frame = bytesAt(log, at, FRAME_HEADER_BYTES);
      const ofFrame = frame.subarray(SALTS.offsetInFrame, SALTS.offsetInFrame + SALTS.bytes);
      const page = frame.length < FRAME_HEADER_BYTES ? 0 : frame.readUInt32BE(0);
      if (page === 0 || !ofFrame.equals(salts)) break;
      frames.push({ page, at: at + FRAME_HEADER_BYTES });
      lowest = Math.min(lowest, page);
      if (frame.readUInt32BE(COMMIT_OFFSET) !== 0) lowestPages.add(lowest);
    }
    return frames.some(
      ({ page, at }) =>
        lowestPages.has(page) &&
        bytesAt(log, at, pageBytes).equals(bytesAt(file, (page - 1) * pageBytes, pageBytes)),
    );
  } finally {
    closeSync(log);
    closeSync(file);
  }
}

/** Fewer where the file ends. */
function bytesAt(fd: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, at));
}

/** Null: it has no update log that can be read. */
function readWithoutLog(real: string): Given | null {
  try {
    using db = new Database(
      `${pathToFileURL(real).href}?immutable=1`,
      constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI,
    );
    return db
      .query<Given, []>(
        `SELECT epoch, max(indexed_to, coalesce((SELECT max(id) FROM update_log), 0)) AS newestId
         FROM update_log_state`,
      )
      .get();
  } catch {
    return null;
  }
}
