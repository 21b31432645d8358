/**
 * Whether there is room on the database's disk. A commit or a checkpoint of DuckDB's that finds
 * none ends the whole instance, reads too. So both are only begun where there is enough, and never
 * by DuckDB itself.
 */
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Save } from "../contract.ts";
import { bytesOf, DiskSpace, Gate } from "../disk-space.ts";
import { formatBytes } from "../format-bytes.ts";

/**
 * The WAL is brought into the file when it has become this long, DuckDB's own default; and earlier,
 * where little is free, so that there is room for it.
 */
const WAL_BYTES_MAX = 16 * 1024 * 1024;
const WAL_BYTES_MIN = 1024 * 1024;
const WAL_SHARE_OF_FREE = 1 / 8;
/**
 * Kept free by commits: for what a save makes the server rewrite besides, such as averages, and for
 * other programs on the disk.
 */
const RESERVE_BYTES = 8 * 1024 * 1024;
const STATEMENT_BYTES = 2 * RESERVE_BYTES;
/** A statement that deletes writes 8 bytes a row, and is what makes room. */
const DELETE_BYTES = RESERVE_BYTES / 8;
/**
 * Of the free blocks, what counts as room: some are always free, as checkpoints write elsewhere
 * what has changed.
 */
const REUSABLE_SHARE = 1 / 2;
/** Where the file has free blocks, but the disk hasn't: what the WAL may take besides the save. */
const TIGHT_WAL_BYTES = RESERVE_BYTES / 2;
/**
 * Where so much of the file is free that something was deleted: checkpoints find all they need in
 * it. By what has to stay free.
 */
const HOLLOW_FACTOR = 2;
const HOLLOW_WAL_BYTES = RESERVE_BYTES / 8;
/** A checkpoint writes changed parts of the tables anew, which take more than the changes. */
const CHECKPOINT_WAL_SHARE = 4;
/** Of a checkpoint that may have failed before: then as much as the whole file, up to this. */
const CHECKPOINT_FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024;

export class DiskRoom {
  readonly #path: string;
  readonly #space: DiskSpace;
  readonly #gate = new Gate();
  /** Blocks of the file that hold nothing, since the last checkpoint: the next writes into them. */
  #reusableBytes = 0;
  /** The process before may have died of a checkpoint that found no room; the next must not. */
  #cautious: boolean;

  constructor(path: string, minFreeBytes: number | null) {
    this.#path = path;
    this.#space = new DiskSpace(dirname(path), minFreeBytes);
    this.#cautious = this.#walBytes() >= WAL_BYTES_MAX;
  }

  /** Why they can't be committed, in words; null: they can. */
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

  /** As `lackFor`, of a user's statement, which may write any amount. */
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

  /** @param reusableBytes of the file's blocks that hold nothing. */
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
