/**
 * A small file beside a database file that says which updates were given last. The database alone
 * can't tell that it was put back from a backup: it holds positions that were given once, and would
 * give the ones after them again, to other updates. The witness stays behind when a database is put
 * back, and is not there where it was copied to. See ARCHITECTURE.md "Updates and positions".
 */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";

/** The record, filled up with blanks: one write that a killed process has done or has not. */
const RECORD_BYTES = 512;
/** What a record and its file may differ in, of the time when it was written. */
const WRITTEN_WITHIN_MS = 1_000;

/** Where positions are in a database. */
export interface Given {
  epoch: string;
  /** A number that grows with every update that is logged, and never otherwise. */
  newestId: number;
}

interface WitnessRecord {
  epoch: string;
  /** The newest id when the last commit began, and if it succeeded. */
  before: number;
  given: number;
  /**
   * How far the database's own file is at least, without its write-ahead log, as its engine counts;
   * -1: not known.
   */
  inFileTo: number;
  /** Of the database file; `born` in ns, 0 where the file system doesn't tell. */
  inode: string;
  born: string;
  /** Of the running system: what was written reached the disk if it hasn't gone down since. */
  boot: string;
  /**
   * When this was written; the file says so too, unless it was put back together with the database.
   */
  writtenAtMs: number;
  /** Set when the database was closed: then the numbers are on the disk. */
  closed: boolean;
}

/** Of a database at that path, links resolved, as SQLite names its own files. */
function witnessPath(dbPath: string): string {
  return `${realpathSync(dbPath)}.epoch`;
}

export class EpochWitness {
  readonly path: string;
  readonly #dbPath: string;
  /**
   * Null until the database is known to be one: nothing is left beside a file that can't be served.
   */
  #fd: number | null;
  readonly #buffer = Buffer.alloc(RECORD_BYTES);
  #record: WitnessRecord | null;

  /** @param dbPath of a database file that is there, and that this process alone writes. */
  constructor(dbPath: string) {
    this.#dbPath = dbPath;
    this.path = witnessPath(dbPath);
    this.#fd = existsSync(this.path) ? openSync(this.path, constants.O_RDWR) : null;
    this.#record = this.#fd === null ? null : this.#read(this.#fd);
  }

  /**
   * How far the file itself must be, without its write-ahead log, as told before; null: nothing is
   * known.
   */
  get inFile(): { epoch: string; to: number } | null {
    if (this.#record === null || this.#record.inFileTo < 0) return null;
    return { epoch: this.#record.epoch, to: this.#record.inFileTo };
  }

  /** Why positions can't go on as they are in the database; null: they can. */
  doubt({ epoch, newestId }: Given): string | null {
    const record = this.#record;
    if (record === null) {
      return newestId === 0 ? null : `there is no ${this.path} of it, so it may be a copy or a backup`;
    }
    if (record.epoch !== epoch) return `${this.path} is of another epoch, so it may be a copy or a backup`;
    const { inode, born } = identityOf(this.#dbPath);
    if (record.inode !== inode || record.born !== born)
      return "the file is not the one that was served last, so it is a copy or a backup";
    // What was written last before a power failure may not have reached the witness.
    const isExact = record.closed || (record.boot !== "" && record.boot === bootId());
    if (!isExact && newestId >= record.before) return null;
    if (newestId === record.given || newestId === record.before) return this.#doubtOfItself(record);
    return newestId < record.given
      ? "it holds fewer updates than were given, so it was put back from a backup"
      : "it holds updates that were given without its witness, so it was put back from elsewhere";
  }

  #doubtOfItself({ writtenAtMs }: WitnessRecord): string | null {
    const { mtimeMs } = statSync(this.path);
    if (Math.abs(mtimeMs - writtenAtMs) <= WRITTEN_WITHIN_MS) return null;
    return `${this.path} was not written by a server last, so it may have been put back with the file`;
  }

  /**
   * From now on the database is as it is told here. Returns when that is on the disk.
   *
   * @param inFile how far the file itself is without its write-ahead log: a number that grows with
   *   it; null: that is not known.
   */
  accept({ epoch, newestId }: Given, inFile: number | null): void {
    this.#fd ??= openSync(this.path, constants.O_RDWR | constants.O_CREAT);
    const known = this.#record?.epoch === epoch ? this.#record.inFileTo : -1;
    const inFileTo = inFile ?? known;
    const identity = identityOf(this.#dbPath);
    const boot = bootId();
    this.#write({ epoch, before: newestId, given: newestId, inFileTo, ...identity, boot, closed: false });
    fsyncSync(this.#fd);
  }

  /**
   * To be called before each commit that logs updates; costs a write into the system's memory.
   *
   * @param to newest id if it succeeds.
   */
  giving(before: Given, to: number): void {
    if (this.#record === null) throw new Error("the witness was not told what the database holds");
    this.#write({ ...this.#record, epoch: before.epoch, before: before.newestId, given: to });
  }

  /** The file itself is as far as this now. */
  holdsTo(inFileTo: number): void {
    if (this.#record !== null) this.#write({ ...this.#record, inFileTo });
  }

  /** After the last commit. */
  close({ epoch, newestId }: Given): void {
    if (this.#fd === null) return;
    if (this.#record !== null) {
      this.#write({ ...this.#record, epoch, before: newestId, given: newestId, closed: true });
      fsyncSync(this.#fd);
    }
    this.abandon();
  }

  /** Without a word about the database. */
  abandon(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #read(fd: number): WitnessRecord | null {
    const bytes = readSync(fd, this.#buffer, 0, RECORD_BYTES, 0);
    try {
      const found: unknown = JSON.parse(this.#buffer.toString("utf8", 0, bytes));
      return isRecord(found) ? found : null;
    } catch (error) {
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  }

  #write(written: Omit<WitnessRecord, "writtenAtMs">): void {
    if (this.#fd === null) throw new Error(`${this.path} is not open`);
    const record = { ...written, writtenAtMs: Date.now() };
    this.#buffer.fill(" ");
    this.#buffer.write(JSON.stringify(record));
    this.#buffer[RECORD_BYTES - 1] = 0x0a;
    writeSync(this.#fd, this.#buffer, 0, RECORD_BYTES, 0);
    this.#record = record;
  }
}

/**
 * Gives a write-ahead log another name, as it belongs to another file than the one beside it.
 *
 * @returns what was done, in words for the log.
 */
export function setLogAside(path: string): string {
  const aside = `${path}.foreign-${Date.now()}`;
  renameSync(path, aside);
  return `${path} belongs to the file that was there before, it is ${aside} now`;
}

/** Of a new epoch, in words; null: none begins. */
export function reasonsOf(...reasons: (string | null)[]): string | null {
  const told = reasons.filter((reason) => reason !== null);
  return told.length === 0 ? null : told.join("; ");
}

function isRecord(found: unknown): found is WitnessRecord {
  if (typeof found !== "object" || found === null) return false;
  const { epoch, before, given, inFileTo, inode, born, boot, writtenAtMs, closed } = found as Record<
    string,
    unknown
  >;
  return (
    [epoch, inode, born, boot].every((text) => typeof text === "string") &&
    [before, given, inFileTo, writtenAtMs].every(Number.isSafeInteger) &&
    typeof closed === "boolean"
  );
}

/** Not the device: its number may be another after the next boot. */
function identityOf(path: string): { inode: string; born: string } {
  const { ino, birthtimeNs } = statSync(path, { bigint: true });
  return { inode: String(ino), born: String(birthtimeNs) };
}

/** Empty where the system doesn't tell. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}
