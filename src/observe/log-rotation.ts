/**
 * Puts log files aside. Supervisor and hub share a file, and so do a worker and its replacement.
 * It is for start scripts of the Python server: they give `--log-file`, and nothing else rotates
 * the files.
 */
import { open, rename, stat, unlink } from "node:fs/promises";
import { errorCode, nullIfAbsent } from "./file-errors.ts";

/** `.1` is the newest of them. */
const BACKUPS_KEPT = 5;

/** A rotation takes about a millisecond. A process that holds the lock for so long has died. */
const LOCK_STALE_MS = 10_000;

/**
 * Makes room under the path: server.log becomes server.log.1, that becomes server.log.2, and the
 * fifth is replaced.
 */
export async function putAside(path: string): Promise<void> {
  for (let n = BACKUPS_KEPT - 1; n >= 1; n--) {
    await rename(`${path}.${n}`, `${path}.${n + 1}`).catch(nullIfAbsent);
  }
  await rename(path, `${path}.1`);
}

/** Runs the action while no other process rotates this file; doesn't run it when one does. */
export async function withRotationLock(path: string, action: () => Promise<void>): Promise<void> {
  const lock = `${path}.lock`;
  if (!(await take(lock))) return;
  try {
    await action();
  } finally {
    await unlink(lock).catch(nullIfAbsent);
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await (await open(lock, "wx")).close();
    return true;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    const held = await stat(lock).catch(nullIfAbsent);
    // A process that was killed has left it. It is only removed here, and taken at a later write:
    // two processes that both find it stale must not both believe that they have it.
    if (held && Date.now() - held.mtimeMs > LOCK_STALE_MS) await unlink(lock).catch(nullIfAbsent);
    return false;
  }
}
