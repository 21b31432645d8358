import { closeSync, fstatSync, mkdirSync, openSync, readSync, write, writeSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { promisify } from "node:util";
import { errorCode, nullIfAbsent } from "./file-errors.ts";
import type { LineTarget } from "./line-queue.ts";
import { putAside, withRotationLock } from "./log-rotation.ts";

/** Beyond this the file is rotated. */
const LOG_FILE_BYTES_MAX = 5 * 1024 * 1024;

const CHUNK_BYTES_MAX = 64 * 1024;

/** server.log for the supervisor, the hub or a single process; server_worker_0.log for worker 0. */
export function logFilePath(base: string, worker: number | null): string {
  return worker === null ? base : besidePath(base, `_worker_${worker}`);
}

/** `audit_refused.jsonl` for `audit.jsonl` and `_refused`. */
export function besidePath(base: string, suffix: string): string {
  const ending = extname(base);
  return `${base.slice(0, base.length - ending.length)}${suffix}${ending}`;
}

/**
 * A log file that is rotated at 5 MB, with 5 older ones. Several processes may share it: supervisor
 * and hub, or a worker and its replacement. Each write is one append. The process that gets the
 * lock rotates; the others notice before their next write.
 * @param report Gets problems that lose no lines.
 * @throws The system's error when the folder or the file can't be opened.
 */
export function openLogFile(
  path: string,
  { report, bytesMax = LOG_FILE_BYTES_MAX }: { report(problem: string): void; bytesMax?: number },
): LineTarget {
  mkdirSync(dirname(path), { recursive: true });
  let fd = open(path);
  let rotationFails = false;

  /** @returns the size of the file at the path, which is reopened if it was rotated. */
  async function currentSize(): Promise<number> {
    const named = await stat(path).catch(nullIfAbsent);
    const ours = fstatSync(fd);
    if (named?.ino === ours.ino && named.dev === ours.dev) return named.size;
    const before = fd;
    fd = open(path);
    closeSync(before);
    return fstatSync(fd).size;
  }

  async function rotateIfFull(bytesToCome: number): Promise<void> {
    const isFull = (size: number) => size > 0 && size + bytesToCome > bytesMax;
    if (!isFull(await currentSize())) return;
    await withRotationLock(path, async () => {
      // Another process may have rotated before we got the lock.
      if (!isFull(await currentSize())) return;
      await putAside(path);
      await currentSize();
    });
  }

  return {
    name: path,
    chunkBytesMax: CHUNK_BYTES_MAX,
    closed: false,
    async write(chunk) {
      try {
        await rotateIfFull(chunk.length);
        rotationFails = false;
      } catch (error) {
        // A file that is too long is better than lost lines.
        if (!rotationFails) report(`${path} can't be rotated: ${errorCode(error)}`);
        rotationFails = true;
      }
      for (let sent = 0; sent < chunk.length; ) {
        sent += (await writeToFile(fd, chunk.subarray(sent))).bytesWritten;
      }
    },
    writeSync(chunk, unfinished) {
      try {
        if (unfinished !== null && !endsWith(fd, unfinished)) writeSync(fd, unfinished);
        writeSync(fd, chunk);
      } catch (error) {
        report(`${path} can't be written: ${errorCode(error)}`);
      }
    },
    async close() {
      closeSync(fd);
    },
  };
}

const writeToFile = promisify(write);

/** Appends even after other processes' lines; readable for `endsWith`. */
function open(path: string): number {
  return openSync(path, "a+");
}

/**
 * Whether the file's end has the chunk. A thread may have written it unnoticed, or may never do so
 * when the process exits now.
 */
function endsWith(fd: number, chunk: Buffer): boolean {
  const tail = Buffer.alloc(2 * chunk.length);
  const from = Math.max(0, fstatSync(fd).size - tail.length);
  const length = readSync(fd, tail, 0, tail.length, from);
  return tail.subarray(0, length).includes(chunk);
}
