/**
 * The image of a DuckDB file that a server may be writing: the file as its last checkpoint left it,
 * and the write-ahead log as long as it was before. Until the next checkpoint, blocks that the file
 * or its log refer to aren't written again; `file-hold.ts` keeps the server from one.
 */
import { closeSync, fstatSync, openSync, readSync, realpathSync } from "node:fs";
import { type FileImage, type ImagePart, ImageSpoiltError } from "../file-image.ts";
import { DUCKDB_FORMAT } from "./file-format.ts";
import { holdFile } from "./file-hold.ts";

/** @throws Error The file can't be read, or is no DuckDB database. */
export function openDuckDbImage(dbFile: string): FileImage {
  const real = realpathSync(dbFile);
  const release = holdFile(real);
  const open: number[] = [];
  const close = (): void => {
    release();
    for (const fd of open) closeSync(fd);
  };
  try {
    const takenAtMs = Date.now();
    const file = openSync(real, "r");
    open.push(file);
    const checkpoints = checkpointsIn(file, real);
    const parts: ImagePart[] = [];
    // The log's length is taken first: it refers to blocks that are in the file by then.
    const log = openLog(`${real}.wal`);
    if (log !== null) {
      open.push(log);
      parts.push(partOf(log, ".wal"));
    }
    parts.unshift(partOf(file, ""));
    return {
      takenAtMs,
      parts,
      confirm() {
        if (checkpointsIn(file, real) !== checkpoints)
          throw new ImageSpoiltError(`a checkpoint has written ${real} meanwhile`);
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function openLog(path: string): number | null {
  try {
    return openSync(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

function checkpointsIn(fd: number, path: string): number {
  const head = Buffer.alloc(DUCKDB_FORMAT.headBytes);
  readSync(fd, head, 0, head.length, 0);
  const read = DUCKDB_FORMAT.readHead(head);
  if (read === null) throw new Error(`${path} is no DuckDB database`);
  return read.generation;
}

/** What is written behind its end from now on doesn't belong to it. */
function partOf(fd: number, suffix: string): ImagePart {
  return {
    suffix,
    bytes: fstatSync(fd).size,
    read(into, at) {
      let done = 0;
      while (done < into.length) {
        const bytes = readSync(fd, into, done, into.length - done, at + done);
        // A checkpoint cuts free blocks off: `confirm` finds it.
        if (bytes === 0) throw new ImageSpoiltError("the file became shorter meanwhile");
        done += bytes;
      }
    },
  };
}
