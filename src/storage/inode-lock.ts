/**
 * Lets one process have a file or folder for a purpose. The lock is an abstract Unix socket: the
 * kernel drops it with its owner, however that dies. Processes of this machine, and of this
 * container, see it; where there are no abstract sockets, nobody does.
 */
import { realpathSync, statSync } from "node:fs";

export interface InodeLock {
  release(): void;
}

/** @param path of what is there; a link to it has the same lock. @returns null: another has it. */
export function lockInode(purpose: string, path: string): InodeLock | null {
  if (process.platform !== "linux") return { release() {} };
  try {
    const listener = Bun.listen({ unix: lockName(purpose, path), socket: { data() {} } });
    return { release: () => listener.stop(true) };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") return null;
    throw error;
  }
}

export async function isInodeLocked(purpose: string, path: string): Promise<boolean> {
  if (process.platform !== "linux") return false;
  try {
    const socket = await Bun.connect({ unix: lockName(purpose, path), socket: { data() {} } });
    socket.terminate();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED") return false;
    throw error;
  }
}

function lockName(purpose: string, path: string): string {
  const { dev, ino } = statSync(realpathSync(path));
  return `\0stock-db-server:${purpose}:${dev}:${ino}`;
}
