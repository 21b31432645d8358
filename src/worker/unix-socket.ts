/**
 * The Unix socket of `--unix-socket`. The kernel doesn't spread the connections of a path over
 * listeners, so one worker has it. It binds beside the path and renames: whoever comes after it
 * takes the path over at once, and a file that a killed one has left is in nobody's way.
 */
import { lstatSync, renameSync, rmSync } from "node:fs";

/** Of the path: the kernel takes 107 bytes, and the name beside it is longer. */
const PATH_BYTES_MAX = 90;

/** The message names the flag, the path and what is wrong. */
class UnixSocketError extends Error {
  override name = "UnixSocketError";
}

/** Before a server starts. @throws UnixSocketError the path is another's, or no place for it. */
export async function checkUnixSocket(path: string): Promise<void> {
  const where = `--unix-socket ${path}`;
  const bytes = Buffer.byteLength(path);
  if (bytes > PATH_BYTES_MAX)
    throw new UnixSocketError(`${where}: got ${bytes} bytes, expected a path of at most ${PATH_BYTES_MAX}`);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new UnixSocketError(`${where}: there is a file that is no socket`);
  try {
    const socket = await Bun.connect({ unix: path, socket: { data() {} } });
    socket.end();
  } catch (error) {
    // Nobody listens: it was left behind.
    if ((error as NodeJS.ErrnoException).code === "ECONNREFUSED") return;
    throw new UnixSocketError(`${where}: ${(error as Error).message}`);
  }
  throw new UnixSocketError(`${where}: another program listens there`);
}

export interface BoundSocket<Server> {
  server: Server;
  /** Removes the path, unless another has taken it over. */
  remove(): void;
}

/**
 * @param mode octal, of the file.
 * @param listen at the path that it is given.
 * @throws UnixSocketError
 */
export function bindUnixSocket<Server>(
  path: string,
  mode: string,
  listen: (path: string) => Server,
): BoundSocket<Server> {
  const made = `${path}.${process.pid}`;
  rmSync(made, { force: true });
  // A file that is made open and closed later would be open in between.
  const before = process.umask(0o777 & ~Number.parseInt(mode, 8));
  let server: Server;
  try {
    server = listen(made);
  } catch (error) {
    throw new UnixSocketError(`--unix-socket ${path}: ${(error as Error).message}`);
  } finally {
    process.umask(before);
  }
  const { ino } = lstatSync(made);
  renameSync(made, path);
  return {
    server,
    remove() {
      if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path, { force: true });
    },
  };
}
