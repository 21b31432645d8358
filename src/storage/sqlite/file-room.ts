/**
 * Tells whether saves find room. Free pages of the file count, since deleting doesn't make it
 * shorter. Pages that only the WAL holds count twice, as they still have to go into the file.
 */
import { type Database, SQLiteError, type Statement } from "bun:sqlite";
import { statSync } from "node:fs";
import type { Save } from "../contract.ts";
import { bytesOf, type DiskSpace, Gate } from "../disk-space.ts";
import { WAL_AUTOCHECKPOINT_PAGES } from "./connection.ts";

/** Where little is free, a commit checkpoints the WAL at 1 MB. */
const TIGHT_AUTOCHECKPOINT_PAGES = 256;
/** The WAL may still take this then, besides a save. */
const TIGHT_WAL_BYTES = 2 * 1024 * 1024;
/** Care begins below so many times what must stay free, and ends above so many times. */
const TIGHT_FACTOR = 2;
const AMPLE_FACTOR = 3;
/** Between two tries to shorten the WAL, which wait for readers. */
const SHORTEN_MS = 5_000;
/** A disk loses far less in this time than what must stay free. */
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

  /** Must not be called in a transaction. @returns why saves are refused; null: they aren't. */
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

  /** Gives the WAL's room back to the disk. */
  #shortenWal(now: number): void {
    if (now - this.#shortenedMs < SHORTEN_MS) return;
    this.#shortenedMs = now;
    shortenWal(this.#db);
  }
}

/** Brings in as much as the file has room for. The rest stays in the WAL. */
export function shortenWal(db: Database): void {
  try {
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (error) {
    if (!(error instanceof SQLiteError)) throw error;
  }
}
