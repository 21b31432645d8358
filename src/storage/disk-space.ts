/**
 * How much is free on the disk of a database file, and how much must stay free. Saves are refused
 * before the disk is full: deleting, other writes of the engine, and other programs need room.
 */
import { statfsSync } from "node:fs";
import { MIB } from "../config/units.ts";
import type { Save } from "./contract.ts";
import { formatBytes } from "./format-bytes.ts";

/** Without the setting. */
const USUAL_BYTES = 256 * MIB;
const USUAL_SHARE = 1 / 4;
/** At most, in a write-ahead log: a row apart from long names, and a character of a frame. */
const ROW_BYTES = 256;
const CHARACTER_BYTES = 3;

/** Saves are refused, since the disk is nearly full. */
export class NoRoomError extends Error {
  override name = "NoRoomError";
}

export class DiskSpace {
  readonly #folder: string;
  /** 0: nothing must stay free. */
  readonly minFreeBytes: number;

  /** @param minFreeBytes null: 256 MB, at most a quarter of the disk. */
  constructor(folder: string, minFreeBytes: number | null) {
    this.#folder = folder;
    const { blocks, bsize } = statfsSync(folder);
    this.minFreeBytes =
      minFreeBytes === null ? Math.min(USUAL_BYTES, blocks * bsize * USUAL_SHARE) : minFreeBytes;
  }

  /**
   * Infinity where the file system doesn't say. `opened-file.ts` notices a folder that has gone.
   */
  freeBytes(): number {
    return freeBytesOf(this.#folder) ?? Number.POSITIVE_INFINITY;
  }
}

/** Of the disk of a folder. Null where the file system doesn't say, or the folder has gone. */
export function freeBytesOf(folder: string): number | null {
  try {
    const { bavail, bsize, blocks } = statfsSync(folder);
    return blocks === 0 ? null : bavail * bsize;
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return null;
  }
}

/** So much more is needed after a refusal. Otherwise the state would change with each save. */
const MARGIN_SHARE = 1 / 4;

/** Bytes at one moment. */
export interface Room {
  /** On the disk. */
  free: number;
  /** With free pages of the file. */
  available: number;
  /** The write-ahead log may take this besides the saves. */
  forWal: number;
  /** Must stay free. */
  kept: number;
  bytes: number;
}

export class Gate {
  #isShut = false;

  /** @returns why the saves are refused, in words; null: they aren't. */
  judge({ free, available, forWal, kept, bytes }: Room): string | null {
    const needed = kept + Math.max(bytes, this.#isShut ? kept * MARGIN_SHARE : 0);
    const neededForWal = forWal + Math.max(bytes, this.#isShut ? forWal * MARGIN_SHARE : 0);
    this.#isShut = free < neededForWal || available < needed;
    if (!this.#isShut) return null;
    return `No space left on the database's disk: ${formatBytes(free)} are free, ${formatBytes(needed)} are needed, of which the most stays free (--min-free-mb)`;
  }
}

/** The most that saves take on the disk before the engine has put everything in its place. */
export function bytesOf(saves: readonly Save[]): number {
  let bytes = 0;
  for (const { rows, update } of saves)
    bytes += rows.length * ROW_BYTES + (update?.frame.length ?? 0) * CHARACTER_BYTES;
  return bytes;
}
