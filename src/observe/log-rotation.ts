/**
 * Puts log files aside. Supervisor and hub share a file, and so do a worker and its replacement.
 * It is for start scripts of the Python server: they give `--log-file`, and nothing else rotates
 * the files.
 */
import { open, rename, stat, unlink } from "node:fs/promises";
import { errorCode, nullIfAbsent } from "./file-errors.ts";

/** `.1` is the newest. */
const BACKUPS_KEPT = 5;

/** A rotation takes about a millisecond: the holder of an older lock has died. */
const LOCK_STALE_MS = 10_000;

/** Renames server.log to server.log.1, that to server.log.2, and so on. Overwrites the fifth. */
export async function putAside(path: string): Promise<void> {
  for (let n = BACKUPS_KEPT - 1; n >= 1; n--) {
    await rename(`${path}.${n}`, `${path}.${n + 1}`).catch(nullIfAbsent);
  }
  await rename(path, `${path}.1`);
}

/** Runs the action unless another process is rotating this file. */
export async function withRotationLock(path: string, action: () => Promise<void>): Promise<void> {
  const lock = `${path}.lock`;
  if (!(await takeLock(lock))) return;
  try {
    await action();
  } finally {
    await unlink(lock).catch(nullIfAbsent);
  }
}

async function takeLock(lock: string): Promise<boolean> {
  try {
    await (await open(lock, "wx")).close();
    return true;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    const held = await stat(lock).catch(nullIfAbsent);
    // A killed process left it. This call only removes it: if two processes find it stale, they
    // must not both get the lock.
    if (held && Date.now() - held.mtimeMs > LOCK_STALE_MS) await unlink(lock).catch(nullIfAbsent);
    return false;
  }
}
