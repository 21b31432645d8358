/** The first bytes of a SQLite file (sqlite.org/fileformat.html). */
import type { FileFormat } from "../opened-file.ts";
import { WalIndex } from "./wal-index.ts";

const MAGIC = "SQLite format 3\0";
const PAGE_SIZE_OFFSET = 16;
const CHANGES_OFFSET = 24;
const PAGES_OFFSET = 28;
/** Stands for 65,536, which has no room in two bytes. */
const LARGEST_PAGE_MARK = 1;
const LARGEST_PAGE_BYTES = 65_536;

export const SQLITE_FORMAT: FileFormat = {
  headBytes: 100,
  readHead(bytes) {
    if (bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) return null;
    const mark = bytes.readUInt16BE(PAGE_SIZE_OFFSET);
    const pageBytes = mark === LARGEST_PAGE_MARK ? LARGEST_PAGE_BYTES : mark;
    return {
      generation: bytes.readUInt32BE(CHANGES_OFFSET),
      bytesMin: bytes.readUInt32BE(PAGES_OFFSET) * pageBytes,
    };
  },
  // The server holds the database open, so that none of its connections is the last, which removes
  // them.
  companions: ["-wal", "-shm"],
  notesOf: (path) => new WalIndex(path),
};
