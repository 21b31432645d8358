/** Keeps servers from a SQLite file that is to be replaced. */
import { Database, SQLiteError } from "bun:sqlite";
import type { ReservedFile } from "../engine.ts";
import { lockInode } from "../inode-lock.ts";
import { PURPOSE } from "./file-lock.ts";

/**
 * A server of this machine is told by the lock that it has, and can't start meanwhile; one in
 * another container, and any other program, by SQLite's own locks.
 */
export function reserveSqlite(dbFile: string): ReservedFile | null {
  const lock = lockInode(PURPOSE, dbFile);
  if (lock === null) return null;
  if (isInUse(dbFile)) {
    lock.release();
    return null;
  }
  return { isFree: () => !isInUse(dbFile), release: () => lock.release() };
}

/** Where nobody has it, its log is in the file then. A damaged file is in nobody's use. */
function isInUse(dbFile: string): boolean {
  try {
    using db = new Database(dbFile, { readwrite: true, create: false });
    db.run("PRAGMA busy_timeout = 0");
    db.run("PRAGMA locking_mode = EXCLUSIVE");
    db.run("BEGIN EXCLUSIVE");
    db.run("COMMIT");
    return false;
  } catch (error) {
    return error instanceof SQLiteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code ?? "");
  }
}
