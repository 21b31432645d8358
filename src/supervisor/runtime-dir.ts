/**
 * The private folder of a running server, with the hub's socket and the version board.
 *
 * Its owner listens on a socket in it. If that refuses connections, the owner was killed. A pid
 * proves less: containers may share /tmp but not pids, while a socket works across them.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isOpenToAll } from "../config/file-mode.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Env } from "./systemd.ts";

/** `sun_path` has 108 bytes on Linux and 104 elsewhere. Longer paths fail with a bare EINVAL. */
export const SOCKET_PATH_BYTES_MAX = 100;
const OWNER_SOCKET = "owner.sock";
const PREFIX = "stock-db-server-";
/** Ends the name of a folder whose owner doesn't listen yet. */
const UNFINISHED = ".new";
/** A younger folder without an owner's socket may still be in the making. */
const UNOWNED_STALE_AFTER_MS = 60_000;
/** Cleaners of /tmp remove old files, and writes through a mapping change no file time. */
const TOUCH_INTERVAL_MS = 3_600_000;

/** There is no place for the folder. The message is for the user. */
export class RuntimeDirError extends Error {
  override readonly name = "RuntimeDirError";
}

export interface RuntimeDir {
  readonly path: string;
  /** Log lines about preferred folders that were unsafe to use. */
  readonly passedOver: string[];
  remove(): void;
}

/**
 * Makes the folder, mode 0700, and removes those of dead servers.
 * @throws RuntimeDirError Each candidate is read-only, unsafe, or too long for a socket's path.
 */
export async function createRuntimeDir(env: Env = process.env): Promise<RuntimeDir> {
  const problems: string[] = [];
  const passedOver: string[] = [];
  for (const base of baseFolders(env)) {
    const path = join(base, `${PREFIX}${process.pid}-${randomBytes(4).toString("hex")}`);
    // The longest path of a socket in it.
    if (Buffer.byteLength(ownerSocketWhileMade(path)) >= SOCKET_PATH_BYTES_MAX) {
      problems.push(`${base}: the path is too long for a socket`);
      continue;
    }
    if (isOpenToAll(base)) {
      const reason = `${base}: anybody may rename or remove what is in it, as it has no sticky bit`;
      problems.push(reason);
      passedOver.push(`The server's own sockets aren't put into ${reason}: chmod +t ${base}`);
      continue;
    }
    try {
      // A container has a volume, which no systemd prepares.
      if (base === givenFolder(env)) mkdirSync(base, { recursive: true, mode: 0o700 });
      await removeStale(base);
      return { ...makeDir(path), passedOver };
    } catch (error) {
      problems.push(`${base}: ${messageOf(error)}`);
    }
  }
  throw new RuntimeDirError(`No folder for the server's own sockets; tried ${problems.join("; ")}`);
}

/** RUNTIME_DIRECTORY is systemd's, and may have several, separated by colons. */
function givenFolder(env: Env): string | undefined {
  return env.RUNTIME_DIRECTORY?.split(":")[0];
}

function baseFolders(env: Env): string[] {
  const given = [givenFolder(env), env.XDG_RUNTIME_DIR, tmpdir(), "/tmp"];
  return [...new Set(given.filter((folder): folder is string => folder !== undefined && folder !== ""))];
}

/** Between bind and listen, a socket also refuses connections: until then the name differs. */
function makeDir(path: string): Omit<RuntimeDir, "passedOver"> {
  const unfinished = path + UNFINISHED;
  mkdirSync(unfinished, { mode: 0o700 });
  chmodSync(unfinished, 0o700); // mkdir's mode passes through the umask
  const owner = Bun.listen({ unix: ownerSocketWhileMade(path), socket: { data() {} } });
  chmodSync(ownerSocketWhileMade(path), 0o600);
  renameSync(unfinished, path);
  const touching = setInterval(() => touchAll(path), TOUCH_INTERVAL_MS);
  touching.unref();
  return {
    path,
    remove() {
      clearInterval(touching);
      owner.stop(true);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

function ownerSocketWhileMade(path: string): string {
  return join(path + UNFINISHED, OWNER_SOCKET);
}

function touchAll(path: string): void {
  const now = new Date();
  for (const file of [path, ...readdirSync(path).map((name) => join(path, name))]) utimesSync(file, now, now);
}

async function removeStale(base: string): Promise<void> {
  for (const name of readdirSync(base)) {
    const path = join(base, name);
    if (name.startsWith(PREFIX) && (await isStale(path))) rmSync(path, { recursive: true, force: true });
  }
}

async function isStale(path: string): Promise<boolean> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory() || stat.uid !== process.getuid?.()) return false;
  const isOld = Date.now() - stat.mtimeMs > UNOWNED_STALE_AFTER_MS;
  if (path.endsWith(UNFINISHED)) return isOld;
  const refusal = await refusalOfOwner(path);
  return refusal === "ECONNREFUSED" || (refusal === "ENOENT" && isOld);
}

/** @returns undefined if the owner lives. */
async function refusalOfOwner(path: string): Promise<string | undefined> {
  try {
    const socket = await Bun.connect({ unix: join(path, OWNER_SOCKET), socket: { data() {} } });
    socket.terminate();
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "unknown";
  }
}
