/**
 * How much is free on the disk of a database file, and how much has to stay free: saves are refused
 * before the disk is full, so that there is room for deleting, for what the engine writes besides,
 * and for other programs.
 */
import { statfsSync } from "node:fs";
import { MIB } from "../config/units.ts";
import type { Save } from "./contract.ts";
import { formatBytes } from "./format-bytes.ts";

/** Where the setting is left out. */
const USUAL_BYTES = 256 * MIB;
const USUAL_SHARE = 1 / 4;
/** What a row takes in a write-ahead log, at most, but for long names; a character of a frame. */
const ROW_BYTES = 256;
const CHARACTER_BYTES = 3;

/** Saves are refused, as the disk is nearly full. */
export class NoRoomError extends Error {
  override name = "NoRoomError";
}

export class DiskSpace {
  readonly #folder: string;
  /** Has to stay free; 0: nothing. */
  readonly minFreeBytes: number;

  /** @param minFreeBytes null: 256 MB, at most a quarter of the disk. */
  constructor(folder: string, minFreeBytes: number | null) {
    this.#folder = folder;
    const { blocks, bsize } = statfsSync(folder);
    this.minFreeBytes =
      minFreeBytes === null ? Math.min(USUAL_BYTES, blocks * bsize * USUAL_SHARE) : minFreeBytes;
  }

  /**
   * Infinity where it can't be told: some file systems don't say, and a folder that has gone is
   * told by opened-file.ts.
   */
  freeBytes(): number {
    try {
      const { bavail, bsize, blocks } = statfsSync(this.#folder);
      return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      return Number.POSITIVE_INFINITY;
    }
  }
}

/**
 * Of what has to stay free: once a save was refused, there has to be so much more before the next
 * is let in. Else the state would change with each save.
 */
const MARGIN_SHARE = 1 / 4;

/** Figures of one moment. */
export interface Room {
  /** On the disk. */
  free: number;
  /** With what the file can take in without becoming longer. */
  available: number;
  /** What the write-ahead log may take besides the save. */
  forWal: number;
  /** What has to stay. */
  kept: number;
  /** What the saves take. */
  bytes: number;
}

export class Gate {
  #isShut = false;

  /** @returns why they aren't let in, in words; null: they are. */
  judge({ free, available, forWal, kept, bytes }: Room): string | null {
    const needed = kept + Math.max(bytes, this.#isShut ? kept * MARGIN_SHARE : 0);
    const neededForWal = forWal + Math.max(bytes, this.#isShut ? forWal * MARGIN_SHARE : 0);
    this.#isShut = free < neededForWal || available < needed;
    if (!this.#isShut) return null;
    return `No space left on the database's disk: ${formatBytes(free)} are free, ${formatBytes(needed)} are needed, of which the most stays free (--min-free-mb)`;
  }
}

/** What saves take on the disk at most, before the engine has put everything in its place. */
export function bytesOf(saves: readonly Save[]): number {
  let bytes = 0;
  for (const { rows, update } of saves)
    bytes += rows.length * ROW_BYTES + (update?.frame.length ?? 0) * CHARACTER_BYTES;
  return bytes;
}
