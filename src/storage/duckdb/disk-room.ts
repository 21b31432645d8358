/**
 * Whether there is room on the database's disk. A commit or a checkpoint of DuckDB's that finds none ends the whole instance, reads too. So both are only
 * begun where there is enough, and never by DuckDB itself.
 */
import { existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Save } from "../contract.ts";
import { formatBytes } from "../format-bytes.ts";

/** The WAL is brought into the file when it has become this long; DuckDB's own default. */
const WAL_BYTES_MAX = 16 * 1024 * 1024;
/** Kept free by commits: for what a save makes the server rewrite besides, such as averages, and for other programs on the disk. */
const RESERVE_BYTES = 8 * 1024 * 1024;
const STATEMENT_BYTES = 2 * RESERVE_BYTES;
/** What a row takes in the WAL, at most, but for long names; a character of a frame. */
const ROW_BYTES = 256;
const CHARACTER_BYTES = 3;
/** A checkpoint writes changed parts of the tables anew, which take more than the changes. */
const CHECKPOINT_WAL_SHARE = 4;
/** Of a checkpoint that may have failed before: then as much as the whole file, up to this. */
const CHECKPOINT_FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024;

export class DiskRoom {
  readonly #path: string;
  /** The process before may have died of a checkpoint that found no room; the next must not. */
  #cautious: boolean;

  constructor(path: string) {
    this.#path = path;
    this.#cautious = this.#walBytes() >= WAL_BYTES_MAX;
  }

  /** Why they can't be committed, in words; null: they can. */
  lackFor(saves: Save[]): string | null {
    let bytes = RESERVE_BYTES;
    for (const { rows, update } of saves)
      bytes += rows.length * ROW_BYTES + (update?.frame.length ?? 0) * CHARACTER_BYTES;
    return this.#lack(bytes);
  }

  /** As `lackFor`, of a user's statement, which may write any amount. */
  lackForStatement(): string | null {
    return this.#lack(STATEMENT_BYTES);
  }

  #lack(bytes: number): string | null {
    const free = this.#freeBytes();
    if (free >= bytes) return null;
    return `No space left on the database's disk: ${formatBytes(free)} are free, ${formatBytes(bytes)} are needed`;
  }

  wantsCheckpoint(): boolean {
    return this.#walBytes() >= WAL_BYTES_MAX && this.takesCheckpoint();
  }

  takesCheckpoint(): boolean {
    const fileBytes = this.#cautious ? Math.min(sizeOf(this.#path), CHECKPOINT_FILE_BYTES_MAX) : 0;
    return this.#freeBytes() >= this.#walBytes() * CHECKPOINT_WAL_SHARE + fileBytes;
  }

  checkpointed(): void {
    this.#cautious = false;
  }

  #walBytes(): number {
    return sizeOf(`${this.#path}.wal`);
  }

  #freeBytes(): number {
    const { bavail, bsize, blocks } = statfsSync(dirname(this.#path));
    return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize; // some file systems don't say
  }
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}
