/**
 * One server a database file. Two would have two hubs that meet in SQLITE_BUSY, and whose workers
 * keep answers that the other's writes make wrong. The lock is an abstract Unix socket, which the
 * kernel drops with its owner, however that dies.
 */
import { closeSync, openSync, realpathSync, statSync } from "node:fs";

export interface FileLock {
  release(): void;
}

/**
 * Creates the file if there is none: an empty file is an empty database.
 *
 * @throws Error another server of this machine has it.
 */
export function lockDatabaseFile(path: string): FileLock {
  closeSync(openSync(path, "a"));
  if (process.platform !== "linux") return { release() {} }; // no abstract sockets there
  try {
    const listener = Bun.listen({ unix: lockName(path), socket: { data() {} } });
    return { release: () => listener.stop(true) };
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    throw new Error(
      `${path} is served by another stock-db-server; use that server's address, or stop it first`,
    );
  }
}

/**
 * Whether a server of this machine, and of this container, has the file. False where there are no
 * abstract sockets.
 */
export async function isDatabaseFileLocked(path: string): Promise<boolean> {
  if (process.platform !== "linux") return false;
  try {
    const socket = await Bun.connect({ unix: lockName(path), socket: { data() {} } });
    socket.terminate();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED") return false;
    throw error;
  }
}

/** By device and inode: a link to the file is the same file. */
function lockName(path: string): string {
  const { dev, ino } = statSync(realpathSync(path));
  return `\0stock-db-server:database:${dev}:${ino}`;
}
