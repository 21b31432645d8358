/**
 * Gives free pages back to the disk, some at a time, where a file has far more of them than rows
 * to come will soon take. The file itself becomes shorter with the next checkpoint.
 */
import type { Database, Statement } from "bun:sqlite";

/** Moving them takes some milliseconds. */
const PAGES_AT_ONCE = 256;
/** Less isn't worth it: rows that come take them again. */
const FREE_BYTES_MIN = 16 * 1024 * 1024;
/** It begins where more than one in so many pages is free, and ends where fewer are. */
const BEGIN_SHARE = 4;
const END_SHARE = 10;

export class FileShrink {
  readonly #figures: Statement<{ pages: number; free: number; bytes: number; mode: number }, []>;
  readonly #shrink: Statement<unknown, []>;
  #isUnderWay = false;

  constructor(db: Database) {
    this.#figures = db.prepare(
      `SELECT page_count AS pages, freelist_count AS free, page_size AS bytes, auto_vacuum AS mode
       FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size(), pragma_auto_vacuum()`,
    );
    this.#shrink = db.prepare(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`);
  }

  get isDue(): boolean {
    const { pages, free, bytes, mode } = this.#figures.get()!;
    const share = this.#isUnderWay ? END_SHARE : BEGIN_SHARE;
    this.#isUnderWay = mode === 2 && free * bytes > FREE_BYTES_MIN && free * share > pages;
    return this.#isUnderWay;
  }

  /** In the caller's transaction. */
  step(): void {
    this.#shrink.all();
  }
}
