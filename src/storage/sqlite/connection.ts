/**
 * Opens SQLite connections with every pragma set that matters: Bun's defaults
 * (`journal_mode=delete`, `busy_timeout=0`, `trusted_schema=1`) are per connection and wrong for a
 * shared database.
 */
import { constants, Database } from "bun:sqlite";
import { closeSync, existsSync, openSync, readSync, realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { Durability } from "../../config/settings.ts";

/**
 * The hub is the only writer, so a lock is held by somebody outside and waiting blocks a whole
 * thread: wait briefly, retry later.
 */
const WRITER_BUSY_TIMEOUT_MS = 250;
/** A reader meets a lock only while a WAL is being recovered. */
const READER_BUSY_TIMEOUT_MS = 250;
const READER_CACHE_KIB = 16_384;
/**
 * Pages in the WAL before a commit copies them back; 4 times SQLite's default, so that fewer
 * commits pay for it.
 */
export const WAL_AUTOCHECKPOINT_PAGES = 4_000;
/** A WAL that grew while a long read held its snapshot shrinks to this when it starts anew. */
const WAL_KEPT_BYTES_MAX = 64 * 1024 * 1024;

export function openWriterConnection(path: string, durability: Durability): Database {
  const db = new Database(path, { readwrite: true, create: true, strict: true });
  db.run(`PRAGMA busy_timeout=${WRITER_BUSY_TIMEOUT_MS}`);
  db.run("PRAGMA trusted_schema=0");
  db.run(`PRAGMA synchronous=${durability === "full" ? "FULL" : "NORMAL"}`);
  db.run(`PRAGMA wal_autocheckpoint=${WAL_AUTOCHECKPOINT_PAGES}`);
  db.run(`PRAGMA journal_size_limit=${WAL_KEPT_BYTES_MAX}`);
  return db;
}

/**
 * Written into the file for good: not before it is known that the file is one that this server can
 * serve.
 */
export function useWriteAheadLog(db: Database): void {
  db.run("PRAGMA journal_mode=WAL");
}

export function openReaderConnection(path: string): Database {
  const db = new Database(path, { readonly: true, strict: true });
  db.run(`PRAGMA busy_timeout=${READER_BUSY_TIMEOUT_MS}`);
  db.run("PRAGMA trusted_schema=0");
  db.run("PRAGMA query_only=1");
  db.run(`PRAGMA cache_size=-${READER_CACHE_KIB}`);
  return db;
}

/** Bytes 18 and 19 of the file are 2 in WAL mode, 1 otherwise (sqlite.org/fileformat.html). */
const READ_VERSION_OFFSET = 19;
const READ_VERSION_OF_WAL = 2;

/** False for an empty file. */
export function isInWalMode(path: string): boolean {
  const fd = openSync(path, "r");
  try {
    const byte = new Uint8Array(1);
    readSync(fd, byte, 0, 1, READ_VERSION_OFFSET);
    return byte[0] === READ_VERSION_OF_WAL;
  } finally {
    closeSync(fd);
  }
}

/**
 * Leaves nothing beside the file, where a plain read-only connection creates the files of the WAL.
 * If there is a WAL, somebody has the database open or was killed, and all its files are there. If
 * there is none, the file is read as it is, without locks: what is read while a server starts on it
 * may be wrong.
 */
export function openInspectingConnection(path: string): Database {
  const real = realpathSync(path); // that is what the WAL is named after
  const asItIs = isInWalMode(real) && !existsSync(`${real}-wal`);
  const db = asItIs
    ? new Database(
        `${pathToFileURL(real).href}?immutable=1`,
        constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI,
      )
    : new Database(real, { readonly: true });
  db.run(`PRAGMA busy_timeout=${READER_BUSY_TIMEOUT_MS}`);
  db.run("PRAGMA trusted_schema=0");
  db.run("PRAGMA query_only=1");
  return db;
}
