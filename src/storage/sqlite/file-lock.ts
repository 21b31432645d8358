/**
 * Lets one server serve a database file. Two hubs would meet in SQLITE_BUSY, and each server's
 * workers would keep answers that the other's writes make wrong.
 */
import { closeSync, openSync } from "node:fs";
import { type InodeLock, isInodeLocked, lockInode } from "../inode-lock.ts";

export const PURPOSE = "database";

/** Creates a missing file, an empty database. @throws Error Another server here has it. */
export function lockDatabaseFile(path: string): InodeLock {
  closeSync(openSync(path, "a"));
  const lock = lockInode(PURPOSE, path);
  if (lock !== null) return lock;
  throw new Error(
    `${path} is served by another stock-db-server; use that server's address, or stop it first`,
  );
}

/** As `isInodeLocked`. */
export function isDatabaseFileLocked(path: string): Promise<boolean> {
  return isInodeLocked(PURPOSE, path);
}
