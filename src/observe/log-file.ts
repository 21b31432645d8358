import { closeSync, fstatSync, mkdirSync, openSync, readSync, write, writeSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { promisify } from "node:util";
import { errorCode, nullIfAbsent } from "./file-errors.ts";
import type { LineTarget } from "./line-queue.ts";
import { putAside, withRotationLock } from "./log-rotation.ts";

/** A file that would grow beyond this is put aside first; docs/limits.md promises it. */
const LOG_FILE_BYTES_MAX = 5 * 1024 * 1024;

const CHUNK_BYTES_MAX = 64 * 1024;

/** server.log for the supervisor, the hub or a single process; server_worker_0.log for worker 0. */
export function logFilePath(base: string, worker: number | null): string {
  if (worker === null) return base;
  const ending = extname(base);
  return `${base.slice(0, base.length - ending.length)}_worker_${worker}${ending}`;
}

/**
 * A file of lines that is put aside at 5 MB and keeps 5 older ones. Several processes may write to
 * one: supervisor and hub, or a worker and its replacement. Each write is one append; a rotation is
 * done by whoever gets its lock, and the others notice before their next write that the file is
 * another.
 *
 * @param report Gets a problem that costs no lines.
 * @throws The system's error when the folder can't be made or the file can't be opened.
 */
export function openLogFile(
  path: string,
  { report, bytesMax = LOG_FILE_BYTES_MAX }: { report(problem: string): void; bytesMax?: number },
): LineTarget {
  mkdirSync(dirname(path), { recursive: true });
  let fd = open(path);
  let rotationFails = false;

  /**
   * The size of the file that the path names, after making sure that it is the one we have open.
   */
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
      // Another process may have rotated between our look and our lock.
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
        // A file that is too long is better than lines that are lost.
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

/** Appends, whatever other processes have appended meanwhile; readable for `endsWith`. */
function open(path: string): number {
  return openSync(path, "a+");
}

/**
 * Whether the chunk is near the end of the file: a thread may have written it although we have not
 * heard of it, or may never come to it when the process exits now.
 */
function endsWith(fd: number, chunk: Buffer): boolean {
  const tail = Buffer.alloc(2 * chunk.length);
  const from = Math.max(0, fstatSync(fd).size - tail.length);
  const length = readSync(fd, tail, 0, tail.length, from);
  return tail.subarray(0, length).includes(chunk);
}
