/**
 * The image of a SQLite file that a server may be writing: the pages of the file, and over them
 * those of the write-ahead log up to a commit. While this process has a read transaction, nothing
 * that the image needs changes: SQLite brings no later page into the file, and doesn't begin its
 * log anew (sqlite.org/wal.html, "Checkpointing"). Pages stay in their places, so that most of the
 * bytes are those of the backup before.
 */
import type { Database } from "bun:sqlite";
import {
  closeSync,
  existsSync,
  openSync,
  readSync,
  realpathSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import { type FileImage, type ImagePart, ImageSpoiltError } from "../file-image.ts";
import { isInWalMode, openInspectingConnection } from "./connection.ts";
import { readLoggedPages } from "./logged-pages.ts";

const PAGE_SIZE_OFFSET = 16;
/** What the header of a file has for pages of 64 KiB. */
const PAGE_SIZE_OF_64_KIB = 1;

/**
 * @param scratch where the log's copy goes until the image is closed. The folder is there.
 * @throws Error The file can't be read, or is no SQLite database.
 */
export function openSqliteImage(dbFile: string, scratch: string): FileImage {
  const real = realpathSync(dbFile);
  if (isInWalMode(real) && existsSync(`${real}-wal`)) return imageWithLog(real, `${scratch}/wal`);
  return imageWithoutLog(real);
}

/**
 * A file that no server serves. In WAL mode nothing writes it, or somebody begins to, which shows;
 * else the read transaction keeps others from writing it.
 */
function imageWithoutLog(real: string): FileImage {
  const db = isInWalMode(real) ? null : openInspectingConnection(real);
  if (db !== null) beginReading(db);
  const takenAtMs = Date.now();
  const before = statSync(real);
  const fd = openSync(real, "r");
  return {
    takenAtMs,
    parts: [{ suffix: "", bytes: before.size, read: (into, at) => readWhole(fd, into, at) }],
    confirm() {
      if (existsSync(`${real}-wal`) || !isSame(before, statSync(real)))
        throw new ImageSpoiltError(`${real} was written to meanwhile`);
    },
    close() {
      db?.close();
      closeSync(fd);
    },
  };
}

function isSame(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs;
}

function imageWithLog(real: string, logCopy: string): FileImage {
  const db = openInspectingConnection(real);
  let files: { file: number; log: number } | null = null;
  const close = (): void => {
    // Closing the file gives up every lock that this process has on it, so the transaction is over.
    db.close();
    if (files !== null) for (const fd of Object.values(files)) closeSync(fd);
    rmSync(logCopy, { force: true });
  };
  try {
    beginReading(db);
    // A server that stops takes its log away.
    if (!existsSync(`${real}-wal`)) throw new ImageSpoiltError(`${real} was closed by its server just now`);
    const takenAtMs = Date.now();
    const { places, pages } = readLoggedPages(`${real}-wal`, logCopy);
    // Of a log that holds nothing there is no copy.
    files = { file: openSync(real, "r"), log: openSync(logCopy, "a+") };
    const pageBytes = pageBytesOf(files.file);
    const bytes = pages === null ? statSync(real).size : pages * pageBytes;
    const part = overlaid(files, { places, pageBytes, bytes });
    return { takenAtMs, parts: [part], confirm() {}, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** A transaction begins with its first read. */
function beginReading(db: Database): void {
  db.run("BEGIN");
  db.query("SELECT count(*) FROM sqlite_schema").get();
}

function overlaid(
  { file, log }: { file: number; log: number },
  { places, pageBytes, bytes }: { places: ReadonlyMap<number, number>; pageBytes: number; bytes: number },
): ImagePart {
  return {
    suffix: "",
    bytes,
    read(into, at) {
      // Beyond the end of the file every page is in the log.
      into.fill(0);
      readWhole(file, into, at);
      for (let page = Math.floor(at / pageBytes); page * pageBytes < at + into.length; page++) {
        const place = places.get(page + 1);
        if (place === undefined) continue;
        const begin = Math.max(at, page * pageBytes);
        const end = Math.min(at + into.length, (page + 1) * pageBytes);
        readWhole(log, into.subarray(begin - at, end - at), place + begin - page * pageBytes);
      }
    },
  };
}

function pageBytesOf(fd: number): number {
  const bytes = Buffer.alloc(2);
  readSync(fd, bytes, 0, bytes.length, PAGE_SIZE_OFFSET);
  const size = bytes.readUInt16BE(0);
  return size === PAGE_SIZE_OF_64_KIB ? 65_536 : size;
}

/** As far as the file goes. */
function readWhole(fd: number, into: Uint8Array, at: number): void {
  let done = 0;
  while (done < into.length) {
    const bytes = readSync(fd, into, done, into.length - done, at + done);
    if (bytes === 0) return;
    done += bytes;
  }
}
