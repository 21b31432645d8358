/**
 * The file of keys: JSON that only its owner can read. Who changes it writes a new file and puts it
 * in place of the old one, so that a reader never meets half of it; a lock file keeps two such
 * changes apart.
 */
import {
  closeSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { keepOwner } from "./file-owner.ts";
import { KeyError, type KeyRecord, readRecord } from "./key-record.ts";

const VERSION = 1;
/** A change takes milliseconds: an older lock was left behind by a process that ended. */
const LOCK_STALE_MS = 10_000;
const LOCK_TRIES = 100;
const LOCK_PAUSE_MS = 20;
/** Keys are a list for people. */
const KEYS_MAX = 10_000;

/** @returns null: there is no such file. @throws KeyError it is not a file of keys. */
export function readKeyFile(path: string): KeyRecord[] | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new KeyError(`${path}: ${(error as Error).message}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KeyError(`${path}: expected JSON, as \`stock-db-server keys\` writes it`);
  }
  const { version, keys } = (value ?? {}) as { version?: unknown; keys?: unknown };
  if (version !== VERSION)
    throw new KeyError(`${path}: got version ${JSON.stringify(version)}, expected ${VERSION}`);
  if (!Array.isArray(keys)) throw new KeyError(`${path}: keys: expected a list`);
  if (keys.length > KEYS_MAX)
    throw new KeyError(`${path}: got ${keys.length} keys, expected at most ${KEYS_MAX}`);
  return keys.map((key, index) => readRecord(key, `${path}: keys[${index}]`));
}

/**
 * @param change gets the keys as they are; what it returns takes their place.
 * @throws KeyError also from `change`: nothing is changed.
 */
export async function changeKeyFile(path: string, change: (keys: KeyRecord[]) => KeyRecord[]): Promise<void> {
  const file = realPathOf(path);
  const unlock = await lock(`${file}.lock`);
  try {
    const keys = change(readKeyFile(file) ?? []);
    const made = `${file}.new`;
    // One that was left behind may be open to others.
    rmSync(made, { force: true });
    writeFileSync(made, `${JSON.stringify({ version: VERSION, keys }, null, 2)}\n`, {
      mode: 0o600,
      flag: "wx",
      flush: true,
    });
    keepOwner(made, file);
    renameSync(made, file);
  } finally {
    unlock();
  }
}

/** A link stays one. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

async function lock(path: string): Promise<() => void> {
  for (let tried = 0; ; tried++) {
    try {
      closeSync(openSync(path, "wx", 0o600));
      return () => rmSync(path, { force: true });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== "EEXIST") throw new KeyError(`${path}: ${message}`);
    }
    if (ageMs(path) > LOCK_STALE_MS) rmSync(path, { force: true });
    else if (tried >= LOCK_TRIES) throw new KeyError(`${path}: another process is changing the keys`);
    await Bun.sleep(LOCK_PAUSE_MS);
  }
}

function ageMs(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}
