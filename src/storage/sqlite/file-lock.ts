/**
 * One server a database file. Two would have two hubs that meet in SQLITE_BUSY, and whose workers keep answers that the other's
 * writes make wrong. The lock is an abstract Unix socket, which the kernel drops with its owner, however that dies.
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
  closeSync(openSync(path, "a", 0o644));
  if (process.platform !== "linux") return { release() {} }; // no abstract sockets there
  // By device and inode: a link to the file is the same file.
  const { dev, ino } = statSync(realpathSync(path));
  try {
    const listener = Bun.listen({ unix: `\0stock-db-server:database:${dev}:${ino}`, socket: { data() {} } });
    return { release: () => listener.stop(true) };
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    throw new Error(
      `${path} is served by another stock-db-server; use that server's address, or stop it first`,
    );
  }
}
