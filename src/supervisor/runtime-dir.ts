/**
 * The folder of one running server, which holds the hub's socket and the version board; only its
 * user may look inside.
 *
 * Its owner keeps a listener on a socket in it. A folder whose socket refuses connections was left
 * by a server that was killed. A pid would not do: containers that share /tmp count pids apart,
 * while a socket file works across them.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../protocol/message-of.ts";
import type { Env } from "./systemd.ts";

/** `sun_path` has 108 bytes on Linux and 104 elsewhere; a longer path fails with a bare EINVAL. */
export const SOCKET_PATH_BYTES_MAX = 100;
const OWNER_SOCKET = "owner.sock";
const PREFIX = "stock-db-server-";
/** Ends the name of a folder whose owner doesn't listen yet. */
const UNFINISHED = ".new";
/** A folder without owner socket, or an unfinished one, may be one that is just being made. */
const UNOWNED_STALE_AFTER_MS = 60_000;
/**
 * Cleaners of /tmp remove what has not been touched for days; the board is written through a
 * mapping, which touches nothing.
 */
const TOUCH_INTERVAL_MS = 3_600_000;

const WRITABLE_BY_ALL = 0o002;
const STICKY = 0o1000;

/** No place for the folder. The message is meant for the user. */
export class RuntimeDirError extends Error {
  override readonly name = "RuntimeDirError";
}

export interface RuntimeDir {
  readonly path: string;
  /**
   * Folders that others had a preference for, and why they weren't taken although they could have
   * been: for the log.
   */
  readonly passedOver: string[];
  /** Removes the folder and what is in it. */
  remove(): void;
}

/**
 * Makes the folder, mode 0700, and removes those of servers that are gone.
 *
 * @throws RuntimeDirError No candidate can be written to, or each path is too long for a socket.
 */
export async function createRuntimeDir(env: Env = process.env): Promise<RuntimeDir> {
  const problems: string[] = [];
  const passedOver: string[] = [];
  for (const base of baseFolders(env)) {
    const path = join(base, `${PREFIX}${process.pid}-${randomBytes(4).toString("hex")}`);
    // The longest of its sockets' paths.
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
      await removeStale(base);
      return { ...makeDir(path), passedOver };
    } catch (error) {
      problems.push(`${base}: ${messageOf(error)}`);
    }
  }
  throw new RuntimeDirError(`No folder for the server's own sockets; tried ${problems.join("; ")}`);
}

function isOpenToAll(folder: string): boolean {
  const mode = statSync(folder, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & WRITABLE_BY_ALL) !== 0 && (mode & STICKY) === 0;
}

function baseFolders(env: Env): string[] {
  // RUNTIME_DIRECTORY is systemd's; it may name several, separated by colons.
  const given = [env.RUNTIME_DIRECTORY?.split(":")[0], env.XDG_RUNTIME_DIR, tmpdir(), "/tmp"];
  return [...new Set(given.filter((folder): folder is string => folder !== undefined && folder !== ""))];
}

/**
 * A socket refuses connections between its bind and its listen too: until then the folder has
 * another name.
 */
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

/** @returns undefined if the owner is alive. */
async function refusalOfOwner(path: string): Promise<string | undefined> {
  try {
    const socket = await Bun.connect({ unix: join(path, OWNER_SOCKET), socket: { data() {} } });
    socket.terminate();
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "unknown";
  }
}
