/**
 * Whether a save finds room: on the disk, or in pages of the file that are free, as what was
 * deleted doesn't make the file shorter. What is in the WAL alone takes its room a second time,
 * when it is brought into the file.
 */
import { type Database, SQLiteError, type Statement } from "bun:sqlite";
import { statSync } from "node:fs";
import type { Save } from "../contract.ts";
import { bytesOf, type DiskSpace, Gate } from "../disk-space.ts";
import { WAL_AUTOCHECKPOINT_PAGES } from "./connection.ts";

/** Where little is free: the WAL is brought into the file at 1 MB. */
const TIGHT_AUTOCHECKPOINT_PAGES = 256;
/** What the WAL may still take then, besides a save. */
const TIGHT_WAL_BYTES = 2 * 1024 * 1024;
/**
 * Of what has to stay free: with less than so much more care is taken, until there is more than
 * that.
 */
const TIGHT_FACTOR = 2;
const AMPLE_FACTOR = 3;
/** Between two tries to make the WAL short, which wait for readers. */
const SHORTEN_MS = 5_000;
/** A disk takes far less in this time than what stays free. */
const LOOK_MS = 20;

interface FileFigures {
  size: number;
  reusable: number;
}

export class FileRoom {
  readonly #db: Database;
  readonly #path: string;
  readonly #space: DiskSpace;
  readonly #figures: Statement<FileFigures, []>;
  readonly #gate = new Gate();
  #isTight = false;
  #shortenedMs = Number.NEGATIVE_INFINITY;
  #available = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** @param path of the file itself, not a link to it. */
  constructor(db: Database, path: string, space: DiskSpace) {
    this.#db = db;
    this.#path = path;
    this.#space = space;
    this.#figures = db.prepare(
      `SELECT page_count * page_size AS size, freelist_count * page_size AS reusable
       FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()`,
    );
  }

  /**
   * To be called outside of a transaction.
   *
   * @returns why they can't be saved, in words; null: they can.
   */
  lackFor(saves: readonly Save[]): string | null {
    const { minFreeBytes } = this.#space;
    if (minFreeBytes === 0) return null;
    const bytes = bytesOf(saves);
    const now = performance.now();
    if (now - this.#lookedMs >= LOOK_MS || this.#isTight) this.#look(now);
    this.#available -= bytes;
    if (!this.#isTight && this.#available >= minFreeBytes * TIGHT_FACTOR) return null;
    this.#setTight(true);
    this.#shortenWal(now);
    this.#look(now);
    const free = this.#space.freeBytes();
    const lack = this.#gate.judge({
      free,
      available: this.#available,
      forWal: TIGHT_WAL_BYTES,
      kept: minFreeBytes,
      bytes,
    });
    if (this.#available >= minFreeBytes * AMPLE_FACTOR) this.#setTight(false);
    return lack;
  }

  #look(now: number): void {
    const { size, reusable } = this.#figures.get()!;
    const growth = Math.max(0, size - statSync(this.#path).size);
    this.#available = this.#space.freeBytes() - growth + reusable;
    this.#lookedMs = now;
  }

  #setTight(isTight: boolean): void {
    if (isTight === this.#isTight) return;
    this.#isTight = isTight;
    const pages = isTight ? TIGHT_AUTOCHECKPOINT_PAGES : WAL_AUTOCHECKPOINT_PAGES;
    this.#db.run(`PRAGMA wal_autocheckpoint=${pages}`);
  }

  /** Its room is the disk's again. */
  #shortenWal(now: number): void {
    if (now - this.#shortenedMs < SHORTEN_MS) return;
    this.#shortenedMs = now;
    shortenWal(this.#db);
  }
}

/**
 * As far as there is room for it in the file: the rest stays in the WAL, which whoever opens the
 * file next brings in.
 */
export function shortenWal(db: Database): void {
  try {
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (error) {
    if (!(error instanceof SQLiteError)) throw error;
  }
}
