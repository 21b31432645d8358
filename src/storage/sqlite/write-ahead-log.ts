/**
 * What the file of SQLite's write-ahead log tells: whether it has begun anew, and whether it
 * belongs to the database beside it.
 */
import { constants, Database } from "bun:sqlite";
import { closeSync, existsSync, openSync, readSync, realpathSync, rmSync, statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { type EpochWitness, type Given, setLogAside } from "../epoch-witness.ts";

/**
 * The header of the log holds salts, which are others each time that it begins anew
 * (sqlite.org/fileformat.html).
 */
const HEADER_BYTES = 32;

export class WriteAheadLog {
  readonly #path: string;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #known = "";
  #fd: number | null = null;

  constructor(dbPath: string) {
    this.#path = `${realpathSync(dbPath)}-wal`;
  }

  /** Whether it has begun anew since the last call: then all before it is in the database file. */
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
 * A database that was put back while the log of the one before was left beside it: SQLite would mix
 * the two, page by page. So that log gets another name. To be called before the database is opened.
 *
 * @param expected the epoch and the newest id in the file itself, at least, if the log belongs to
 *   it; null: nothing is known.
 * @returns what was done, in words for the log; null: nothing.
 */
export function setForeignLogAside(dbPath: string, expected: EpochWitness["inFile"]): string | null {
  const real = realpathSync(dbPath);
  const log = statSync(`${real}-wal`, { throwIfNoEntry: false });
  if (expected === null || log === undefined || log.size <= HEADER_BYTES) return null;
  const inFile = readWithoutLog(real);
  if (inFile !== null && inFile.epoch === expected.epoch && inFile.newestId >= expected.to) return null;
  const told = setLogAside(`${real}-wal`);
  rmSync(`${real}-shm`, { force: true });
  return told;
}

/** Null where it has no update log that can be read. */
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
