/**
 * Reads the pages that a write-ahead log holds, while its writer goes on
 * (sqlite.org/fileformat2.html, "The WAL File Format").
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The lowest bit of the first number: checksums are reckoned with big-endian numbers. */
const MAGIC = 0x377f0682;
const PAGE_SIZE_OFFSET = 8;
const SALTS_OFFSET = 16;
const SALTS_BYTES = 8;
const HEADER_SUM_OFFSET = 24;
const COMMIT_OFFSET = 4;
const FRAME_SALTS_OFFSET = 8;
const FRAME_SUM_OFFSET = 16;
/** What a frame's checksum covers of its header. */
const SUMMED_BYTES = 8;
/** The log began anew under every one of so many readings: something else is wrong. */
const READINGS_MAX = 20;

export interface LoggedPages {
  /** Where the newest version of each page, from 1, begins in the copy. */
  places: Map<number, number>;
  /** Of the database after the last commit; null: the log holds none. */
  pages: number | null;
}

/**
 * Copies the log's commits to another file. Call it within a read transaction: then at most what is
 * in the file already can leave the log.
 *
 * @throws Error The log can't be read, or changes too often.
 */
export function readLoggedPages(log: string, copy: string): LoggedPages {
  const fd = openSync(log, "r");
  try {
    for (let reading = 0; reading < READINGS_MAX; reading++) {
      const header = bytesAt(fd, 0, HEADER_BYTES);
      if (header.length < HEADER_BYTES || !isHeader(header)) return { places: new Map(), pages: null };
      const found = copyCommits(fd, header, copy);
      // A log that began anew meanwhile may have given the first part of what was in it.
      if (bytesAt(fd, 0, HEADER_BYTES).equals(header)) return found;
    }
  } finally {
    closeSync(fd);
  }
  throw new Error(`${log} began anew ${READINGS_MAX} times while it was read`);
}

function isHeader(header: Buffer): boolean {
  const magic = header.readUInt32BE(0);
  if (magic !== MAGIC && magic !== MAGIC + 1) return false;
  const sum = new Checksum(magic === MAGIC + 1);
  sum.add(header.subarray(0, HEADER_SUM_OFFSET));
  return sum.is(header, HEADER_SUM_OFFSET);
}

/** As far as frames are whole. A writer may be in the middle of one. */
function copyCommits(fd: number, header: Buffer, copy: string): LoggedPages {
  const pageBytes = header.readUInt32BE(PAGE_SIZE_OFFSET);
  const salts = header.subarray(SALTS_OFFSET, SALTS_OFFSET + SALTS_BYTES);
  const sum = new Checksum(header.readUInt32BE(0) === MAGIC + 1);
  sum.add(header.subarray(0, HEADER_SUM_OFFSET));
  const places = new Map<number, number>();
  const ofCommit = new Map<number, number>();
  let pages: number | null = null;
  const to = openSync(copy, "w", 0o600);
  try {
    const frame = Buffer.alloc(FRAME_HEADER_BYTES + pageBytes);
    for (let place = 0, at = HEADER_BYTES; ; place += pageBytes, at += frame.length) {
      if (readSync(fd, frame, 0, frame.length, at) < frame.length) break;
      if (!frame.subarray(FRAME_SALTS_OFFSET, FRAME_SALTS_OFFSET + SALTS_BYTES).equals(salts)) break;
      sum.add(frame.subarray(0, SUMMED_BYTES));
      sum.add(frame.subarray(FRAME_HEADER_BYTES));
      if (!sum.is(frame, FRAME_SUM_OFFSET)) break;
      writeSync(to, frame, FRAME_HEADER_BYTES, pageBytes, place);
      ofCommit.set(frame.readUInt32BE(0), place);
      const committed = frame.readUInt32BE(COMMIT_OFFSET);
      if (committed === 0) continue;
      pages = committed;
      for (const [page, newest] of ofCommit) places.set(page, newest);
      ofCommit.clear();
    }
  } finally {
    closeSync(to);
  }
  return { places, pages };
}

/** Fewer where the file ends. */
function bytesAt(fd: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, at));
}

/** Goes on from frame to frame. */
class Checksum {
  readonly #isBigEndian: boolean;
  #first = 0;
  #second = 0;

  constructor(isBigEndian: boolean) {
    this.#isBigEndian = isBigEndian;
  }

  /** @param bytes a multiple of 8. */
  add(bytes: Buffer): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const isLittleEndian = !this.#isBigEndian;
    let first = this.#first;
    let second = this.#second;
    for (let at = 0; at < bytes.length; at += 8) {
      first = (first + view.getUint32(at, isLittleEndian) + second) >>> 0;
      second = (second + view.getUint32(at + 4, isLittleEndian) + first) >>> 0;
    }
    this.#first = first;
    this.#second = second;
  }

  is(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32BE(at) === this.#first && bytes.readUInt32BE(at + 4) === this.#second;
  }
}
