/**
 * Tells whether a write-ahead log belongs to the database beside it. DuckDB replays any log that it
 * finds, even one of an earlier file of that name.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import { type EpochWitness, setLogAside } from "../epoch-witness.ts";
import { DUCKDB_FORMAT } from "./file-format.ts";

const OWN_DESCRIPTORS = "/proc/self/fd";

/**
 * The number of checkpoints of a file that is open in this process. Reads through DuckDB's own
 * descriptor: closing another one would give up the lock.
 *
 * @returns null if there is no way to find the descriptor, as on macOS.
 */
export function checkpointsOfOpen(path: string): number | null {
  if (!existsSync(OWN_DESCRIPTORS)) return null;
  const real = realpathSync(path);
  for (const name of readdirSync(OWN_DESCRIPTORS)) {
    try {
      if (readlinkSync(`${OWN_DESCRIPTORS}/${name}`) === real) return checkpointsIn(Number(name));
    } catch {
      // The descriptor was closed meanwhile.
    }
  }
  return null;
}

function checkpointsOfClosed(path: string): number {
  const fd = openSync(path, "r");
  try {
    return checkpointsIn(fd);
  } finally {
    closeSync(fd);
  }
}

/** 0 for a file that is too short. */
function checkpointsIn(fd: number): number {
  const head = Buffer.alloc(DUCKDB_FORMAT.headBytes);
  readSync(fd, head, 0, head.length, 0);
  return DUCKDB_FORMAT.readHead(head)?.generation ?? 0;
}

/**
 * Must run before this process opens the database.
 *
 * @param expected the log belongs to a file with at least these checkpoints; null: unknown.
 * @returns what was done, for the log; null: nothing.
 */
export function setForeignLogAside(path: string, expected: EpochWitness["inFile"]): string | null {
  const real = realpathSync(path);
  const log = statSync(`${real}.wal`, { throwIfNoEntry: false });
  if (expected === null || log === undefined || log.size === 0) return null;
  return checkpointsOfClosed(real) >= expected.to ? null : setLogAside(`${real}.wal`);
}
