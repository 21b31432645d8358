/**
 * A small file beside a database file that says which updates were given last. It stays behind when
 * the database is put back from a backup, and is missing where the database was copied to. The
 * database itself can't tell, and would give the same positions again to other updates. See
 * ARCHITECTURE.md "Updates and positions".
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

/** Blanks fill the record up, so that one write replaces it. */
const RECORD_BYTES = 512;
/** The time in the record and that of its file may differ by this. */
const WRITTEN_WITHIN_MS = 1_000;

/** How far positions are in a database. */
export interface Given {
  epoch: string;
  /** Grows with every update that is logged, and never otherwise. */
  newestId: number;
}

interface WitnessRecord {
  epoch: string;
  /** The newest id before the last commit, and after it if it succeeded. */
  before: number;
  given: number;
  /** What the file surely holds without its write-ahead log, in the engine's count; -1: unknown. */
  inFileTo: number;
  /** Of the database file. `born` is in ns; 0 where the file system doesn't tell. */
  inode: string;
  born: string;
  /** Names this run of the system. While it lasts, nothing that was written is lost. */
  boot: string;
  /** The file's own time differs if the witness was put back together with the database. */
  writtenAtMs: number;
  /** The database was closed: the numbers are on the disk. */
  closed: boolean;
}

/** SQLite resolves links too. */
function witnessPath(dbPath: string): string {
  return `${realpathSync(dbPath)}.epoch`;
}

export class EpochWitness {
  readonly path: string;
  readonly #dbPath: string;
  /** Null until the database is known to be one: a file that can't be served gets no witness. */
  #fd: number | null;
  readonly #buffer = Buffer.alloc(RECORD_BYTES);
  #record: WitnessRecord | null;

  /** @param dbPath The file exists, and this process alone writes it. */
  constructor(dbPath: string) {
    this.#dbPath = dbPath;
    this.path = witnessPath(dbPath);
    this.#fd = existsSync(this.path) ? openSync(this.path, constants.O_RDWR) : null;
    this.#record = this.#fd === null ? null : this.#read(this.#fd);
  }

  /** What the file itself must hold without its write-ahead log; null: unknown. */
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
    // The last records before a power failure may have been lost.
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
   * Tells what the database holds; returns once that is on the disk.
   * @param inFile What the file itself holds without its write-ahead log; null: unknown.
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
   * Call it before each commit of updates. It costs no sync. @param to newest id if it succeeds.
   */
  giving(before: Given, to: number): void {
    if (this.#record === null) throw new Error("the witness was not told what the database holds");
    this.#write({ ...this.#record, epoch: before.epoch, before: before.newestId, given: to });
  }

  /** The file itself is as far as this now. */
  holdsTo(inFileTo: number): void {
    if (this.#record !== null) this.#write({ ...this.#record, inFileTo });
  }

  /** Call it after the last commit. */
  close({ epoch, newestId }: Given): void {
    if (this.#fd === null) return;
    if (this.#record !== null) {
      this.#write({ ...this.#record, epoch, before: newestId, given: newestId, closed: true });
      fsyncSync(this.#fd);
    }
    this.abandon();
  }

  /** Closes the witness as it is. */
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

/** Renames a write-ahead log that is another file's. @returns what was done, for the log. */
export function setLogAside(path: string): string {
  const aside = `${path}.foreign-${Date.now()}`;
  renameSync(path, aside);
  return `${path} belongs to the file that was there before, it is ${aside} now`;
}

/** Joins reasons for a new epoch; null: none begins. */
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

/** The device is left out: its number may change with the next boot. */
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
