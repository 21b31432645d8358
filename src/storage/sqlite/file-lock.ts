/**
 * Lets one server serve a database file. Two hubs would meet in SQLITE_BUSY, and each server's
 * workers would keep answers that the other's writes make wrong. The lock is an abstract Unix
 * socket: the kernel drops it with its owner, however that dies.
 */
import { closeSync, openSync, realpathSync, statSync } from "node:fs";

export interface FileLock {
  release(): void;
}

/** Creates a missing file, an empty database. @throws Error Another server here has it. */
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
 * Sees servers of this machine, and of this container. False where there are no abstract sockets.
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

/** A link to the file has the same name. */
function lockName(path: string): string {
  const { dev, ino } = statSync(realpathSync(path));
  return `\0stock-db-server:database:${dev}:${ino}`;
}
