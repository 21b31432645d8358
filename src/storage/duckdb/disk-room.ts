/**
 * Measures room on the database's disk. A commit or checkpoint that finds none ends the whole
 * instance, reads too. So the server begins them only where there is room, and DuckDB never does.
 */
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Save } from "../contract.ts";
import { bytesOf, DiskSpace, Gate } from "../disk-space.ts";
import { formatBytes } from "../format-bytes.ts";

/** A WAL this long wants a checkpoint, as by DuckDB's default; earlier on a disk that fills up. */
const WAL_BYTES_MAX = 16 * 1024 * 1024;
const WAL_BYTES_MIN = 1024 * 1024;
const WAL_SHARE_OF_FREE = 1 / 8;
/** Commits keep this free for averages that a save rewrites, and for other programs. */
const RESERVE_BYTES = 8 * 1024 * 1024;
const STATEMENT_BYTES = 2 * RESERVE_BYTES;
/** A DELETE writes 8 bytes a row, and makes room. */
const DELETE_BYTES = RESERVE_BYTES / 8;
/** Checkpoints write changed parts elsewhere, so some blocks must stay free. */
const REUSABLE_SHARE = 1 / 2;
/** Room for the WAL besides the save when the file has free blocks but the disk hasn't. */
const TIGHT_WAL_BYTES = RESERVE_BYTES / 2;
/** From this multiple of the reserve on, rows were deleted: checkpoints reuse their blocks. */
const HOLLOW_FACTOR = 2;
const HOLLOW_WAL_BYTES = RESERVE_BYTES / 8;
/** A checkpoint writes changed parts of the tables anew, which is more than the changes. */
const CHECKPOINT_WAL_SHARE = 4;
/** A checkpoint that may have failed before must find room for the whole file, up to this. */
const CHECKPOINT_FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024;

export class DiskRoom {
  readonly #path: string;
  readonly #space: DiskSpace;
  readonly #gate = new Gate();
  /** Free blocks of the file at the last checkpoint. The next one writes into them. */
  #reusableBytes = 0;
  /** The last process may have died of a checkpoint that found no room. */
  #cautious: boolean;

  constructor(path: string, minFreeBytes: number | null) {
    this.#path = path;
    this.#space = new DiskSpace(dirname(path), minFreeBytes);
    this.#cautious = this.#walBytes() >= WAL_BYTES_MAX;
  }

  /** Why the saves can't be committed; null: they can. */
  lackFor(saves: Save[]): string | null {
    const bytes = bytesOf(saves);
    const free = this.#space.freeBytes();
    const kept = Math.max(RESERVE_BYTES, this.#space.minFreeBytes);
    return this.#gate.judge({
      free,
      available: free + this.#reusableBytes * REUSABLE_SHARE,
      forWal: this.#reusableBytes >= kept * HOLLOW_FACTOR ? HOLLOW_WAL_BYTES : TIGHT_WAL_BYTES,
      kept,
      bytes,
    });
  }

  /** Why a user's statement, which may write any amount, can't run; null: it can. */
  lackForStatement({ deletes }: { deletes: boolean }): string | null {
    const free = this.#space.freeBytes();
    const needed = deletes ? DELETE_BYTES : STATEMENT_BYTES;
    if (free >= needed) return null;
    return `No space left on the database's disk: ${formatBytes(free)} are free, ${formatBytes(needed)} are needed`;
  }

  wantsCheckpoint(): boolean {
    const bytes = this.#walBytes();
    const max = Math.min(WAL_BYTES_MAX, Math.max(WAL_BYTES_MIN, this.#space.freeBytes() * WAL_SHARE_OF_FREE));
    const isLong = bytes >= max || (bytes > 0 && this.lackFor([]) !== null);
    return isLong && this.takesCheckpoint();
  }

  takesCheckpoint(): boolean {
    const fileBytes = this.#cautious ? Math.min(sizeOf(this.#path), CHECKPOINT_FILE_BYTES_MAX) : 0;
    return (
      this.#space.freeBytes() + this.#reusableBytes >= this.#walBytes() * CHECKPOINT_WAL_SHARE + fileBytes
    );
  }

  /** @param reusableBytes the file's free blocks. */
  checkpointed(reusableBytes: number): void {
    this.#reusableBytes = reusableBytes;
    this.#cautious = false;
  }

  #walBytes(): number {
    return sizeOf(`${this.#path}.wal`);
  }
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}
