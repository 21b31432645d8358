/**
 * Opens connections with every pragma that matters. SQLite's defaults (`journal_mode=delete`,
 * `busy_timeout=0`, `trusted_schema=1`) hold per connection and don't suit a shared database.
 */
import { constants, Database } from "bun:sqlite";
import { closeSync, existsSync, openSync, readSync, realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { Durability } from "../../config/settings.ts";

/** Another program holds the lock, and waiting blocks the thread. The hub tries again later. */
const WRITER_BUSY_TIMEOUT_MS = 250;
/** A reader meets a lock only while SQLite recovers a WAL. */
const READER_BUSY_TIMEOUT_MS = 250;
const READER_CACHE_KIB = 16_384;
/** A commit checkpoints so many pages: 4 times SQLite's default, so that fewer commits pay. */
export const WAL_AUTOCHECKPOINT_PAGES = 4_000;
/** A long read makes the WAL grow. SQLite cuts it to this when it begins anew. */
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
 * A new file can give back its free pages, some at a time; an old one only by a VACUUM. The pragma
 * writes the file each time.
 */
export function letShrink(db: Database): void {
  const { pages } = db
    .query<{ pages: number }, []>("SELECT page_count AS pages FROM pragma_page_count()")
    .get()!;
  if (pages === 0) db.run("PRAGMA auto_vacuum=INCREMENTAL");
}

/** The mode stays in the file: set it only once the file is known to be servable. */
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

/** Reads the file alone, without locks. @param real with links resolved. */
export function openWithoutLog(real: string): Database {
  const flags = constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI;
  return new Database(`${pathToFileURL(real).href}?immutable=1`, flags);
}

/** 2 in WAL mode, else 1 (sqlite.org/fileformat.html). */
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
 * Leaves nothing beside the file, where a plain read-only connection creates the WAL's files.
 * Without a WAL, the file is read without locks: the answer may be wrong if a server starts
 * meanwhile.
 */
export function openInspectingConnection(path: string): Database {
  const real = realpathSync(path); // that is what the WAL is named after
  const asItIs = isInWalMode(real) && !existsSync(`${real}-wal`);
  const db = asItIs ? openWithoutLog(real) : new Database(real, { readonly: true });
  db.run(`PRAGMA busy_timeout=${READER_BUSY_TIMEOUT_MS}`);
  db.run("PRAGMA trusted_schema=0");
  db.run("PRAGMA query_only=1");
  return db;
}
