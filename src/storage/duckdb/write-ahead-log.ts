/**
 * Whether DuckDB's write-ahead log belongs to the database beside it: DuckDB brings into a file
 * whatever log it finds, also one of the file that was there before.
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
 * How many checkpoints a file has seen that DuckDB has open in this process. Read through DuckDB's
 * own descriptor: to open and close the file once more would give up its lock.
 *
 * @returns null where the descriptor can't be found, as on macOS.
 */
export function checkpointsOfOpen(path: string): number | null {
  if (!existsSync(OWN_DESCRIPTORS)) return null;
  const real = realpathSync(path);
  for (const name of readdirSync(OWN_DESCRIPTORS)) {
    try {
      if (readlinkSync(`${OWN_DESCRIPTORS}/${name}`) === real) return checkpointsIn(Number(name));
    } catch {
      // Closed meanwhile.
    }
  }
  return null;
}

/** The same of one that isn't open here. */
function checkpointsOfClosed(path: string): number {
  const fd = openSync(path, "r");
  try {
    return checkpointsIn(fd);
  } finally {
    closeSync(fd);
  }
}

/** 0 for a file that is too short to tell. */
function checkpointsIn(fd: number): number {
  const head = Buffer.alloc(DUCKDB_FORMAT.headBytes);
  readSync(fd, head, 0, head.length, 0);
  return DUCKDB_FORMAT.readHead(head)?.generation ?? 0;
}

/**
 * To be called before the database is opened, in this process too.
 *
 * @param expected the checkpoints of the file, at least, if the log belongs to it; null: nothing is
 *   known.
 * @returns what was done, in words for the log; null: nothing.
 */
export function setForeignLogAside(path: string, expected: EpochWitness["inFile"]): string | null {
  const real = realpathSync(path);
  const log = statSync(`${real}.wal`, { throwIfNoEntry: false });
  if (expected === null || log === undefined || log.size === 0) return null;
  return checkpointsOfClosed(real) >= expected.to ? null : setLogAside(`${real}.wal`);
}
