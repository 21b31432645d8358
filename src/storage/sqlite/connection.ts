/**
 * Opens SQLite connections with every pragma set that matters: Bun's defaults (`journal_mode=delete`,
 * `busy_timeout=0`, `trusted_schema=1`) are per connection and wrong for a shared database.
 */
import { Database } from "bun:sqlite";
import type { Durability } from "../../config/settings.ts";

/** The hub is the only writer, so a lock is held by somebody outside and waiting blocks a whole thread: wait briefly, retry later. */
const WRITER_BUSY_TIMEOUT_MS = 250;
/** A reader meets a lock only while a WAL is being recovered. */
const READER_BUSY_TIMEOUT_MS = 250;
const READER_CACHE_KIB = 16_384;
/** Pages in the WAL before a commit copies them back; 4 times SQLite's default, so that fewer commits pay for it. */
const WAL_AUTOCHECKPOINT_PAGES = 4_000;
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

/** Written into the file for good: not before it is known that the file is one that this server can serve. */
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
