/**
 * Reads what SQLite's files say (sqlite.org/fileformat.html, walformat.html): the head of the
 * database, and the index of its write-ahead log, the `-shm` file. The index tells how far the log
 * goes and how much of it the database holds. So it shows when another program has changed either.
 */
import { existsSync, fstatSync, readSync, statSync } from "node:fs";
import { type EngineNotes, type EngineNotesLook, type FileFormat, keptDescriptor } from "../opened-file.ts";

export const MAGIC = "SQLite format 3\0";
const FILE_PAGE_SIZE_OFFSET = 16;
const CHANGES_OFFSET = 24;
const PAGES_OFFSET = 28;
/** It stands for 65,536, which two bytes can't hold. */
const LARGEST_PAGE_MARK = 1;
const LARGEST_PAGE_BYTES = 65_536;

export const SQLITE_FORMAT: FileFormat = {
  headBytes: 100,
  readHead(bytes) {
    if (bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) return null;
    return {
      generation: bytes.readUInt32BE(CHANGES_OFFSET),
      bytesMin: bytes.readUInt32BE(PAGES_OFFSET) * pageBytesOf(bytes.readUInt16BE(FILE_PAGE_SIZE_OFFSET)),
    };
  },
  headTellsSize: true,
  // The last connection that closes removes them. While the server runs, it keeps one open.
  companions: ["-wal", "-shm"],
  notesOf: (path) => new WalIndex(path),
};

function pageBytesOf(mark: number): number {
  return mark === LARGEST_PAGE_MARK ? LARGEST_PAGE_BYTES : mark;
}

/**
 * The header is there twice, and SQLite writes the second one first. Notes of checkpoints follow.
 */
const HEADER_BYTES = 48;
const NOTES_BYTES = 136;
const IS_SET_OFFSET = 12;
const PAGE_SIZE_OFFSET = 14;
const FRAMES_OFFSET = 16;
const SALTS_OFFSET = 32;
const SALTS_BYTES = 8;
const IN_FILE_OFFSET = 96;
/** SQLite sets it before a checkpoint writes the file, and `IN_FILE` after it. */
const TO_BE_IN_FILE_OFFSET = 128;

const LOG_HEADER_BYTES = 32;
const LOG_SALTS_OFFSET = 16;
const FRAME_HEADER_BYTES = 24;

const NOTHING_KNOWN: EngineNotesLook = { damage: null, writtenTo: null };

class WalIndex implements EngineNotes {
  readonly #path: string;
  readonly #notes = Buffer.alloc(NOTES_BYTES);
  readonly #notesAfter = Buffer.alloc(NOTES_BYTES);
  readonly #logHeader = Buffer.alloc(LOG_HEADER_BYTES);
  #files: { log: number; index: number } | null = null;
  #wasSet = false;

  /** @param path of the database, links resolved. */
  constructor(path: string) {
    this.#path = path;
  }

  look(): EngineNotesLook {
    const files = this.#open();
    if (files === null) return NOTHING_KNOWN;
    const length = readSync(files.index, this.#notes, 0, NOTES_BYTES, 0);
    const isSet = length === NOTES_BYTES && this.#notes[IS_SET_OFFSET] === 1;
    if (!isSet) return this.#wasSet ? lostIndex(`${this.#path}-shm`) : NOTHING_KNOWN;
    this.#wasSet = true;
    const logBytes = fstatSync(files.log).size;
    this.#logHeader.fill(0);
    readSync(files.log, this.#logHeader, 0, LOG_HEADER_BYTES, 0);
    readSync(files.index, this.#notesAfter, 0, NOTES_BYTES, 0);
    if (!this.#isSteady()) return NOTHING_KNOWN;
    return this.#damageOfLog(logBytes) ?? { damage: null, writtenTo: this.#writtenTo() };
  }

  #open(): { log: number; index: number } | null {
    if (this.#files !== null) return this.#files;
    const [log, index] = [`${this.#path}-wal`, `${this.#path}-shm`];
    if (!existsSync(log) || !existsSync(index)) return null;
    this.#files = { log: keptDescriptor(log, statSync(log)), index: keptDescriptor(index, statSync(index)) };
    return this.#files;
  }

  /** SQLite has not changed the index between the two reads. */
  #isSteady(): boolean {
    const first = this.#notes.subarray(0, HEADER_BYTES);
    return (
      first.equals(this.#notes.subarray(HEADER_BYTES, 2 * HEADER_BYTES)) &&
      first.equals(this.#notesAfter.subarray(0, HEADER_BYTES))
    );
  }

  #damageOfLog(logBytes: number): EngineNotesLook | null {
    const frames = this.#number(FRAMES_OFFSET);
    if (frames === 0) return null;
    const pageBytes = pageBytesOf(this.#notes.readUInt16LE(PAGE_SIZE_OFFSET));
    if (logBytes < LOG_HEADER_BYTES + frames * (FRAME_HEADER_BYTES + pageBytes))
      return lostLog(`${this.#path}-wal was truncated`);
    const salts = this.#logHeader.subarray(LOG_SALTS_OFFSET, LOG_SALTS_OFFSET + SALTS_BYTES);
    return salts.equals(this.#salts()) ? null : lostLog(`${this.#path}-wal was overwritten`);
  }

  #writtenTo(): string | null {
    const inFile = this.#number(IN_FILE_OFFSET);
    if (inFile !== this.#number(TO_BE_IN_FILE_OFFSET)) return null;
    return `${this.#salts().toString("hex")} ${inFile}`;
  }

  #salts(): Buffer {
    return this.#notes.subarray(SALTS_OFFSET, SALTS_OFFSET + SALTS_BYTES);
  }

  /** The index has the machine's byte order. Bun runs on little-endian machines only. */
  #number(offset: number): number {
    return this.#notes.readUInt32LE(offset);
  }
}

const WHILE_OPEN = "while the server had it open";

function lostLog(what: string): EngineNotesLook {
  const damage = `${what} ${WHILE_OPEN}; restore the database from a copy, and restart the server`;
  return { damage, writtenTo: null };
}

/** SQLite makes it anew from the log. */
function lostIndex(path: string): EngineNotesLook {
  const damage = `${path} was overwritten ${WHILE_OPEN}; nothing is lost: stop the server and start it again`;
  return { damage, writtenTo: null };
}
