/**
 * That a database was restored: a small file beside it. No server runs meanwhile, so the next one
 * that keeps an audit tells it there, and whoever restores needn't think of it.
 */
import { readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { isObject, type JsonRecord } from "../protocol/json.ts";

export const RESTORE_NOTE_SUFFIX = ".restored";

export interface RestoreNote {
  /** The backup, and when it was taken. */
  backup: string;
  takenAt: string;
  epoch: string;
  /** Where the database is now that was there before; null: none was. */
  replaced: string | null;
}

/**
 * The notes that the database has, with one more, for the one that takes its place.
 *
 * @param made that one. @throws Error They can't be read or written.
 */
export function writeRestoreNote(made: string, dbFile: string, note: RestoreNote): void {
  const line = JSON.stringify({ restoredAt: new Date().toISOString(), user: userName(), ...note });
  const notes = `${textOf(dbFile + RESTORE_NOTE_SUFFIX)}${line}\n`;
  writeFileSync(made + RESTORE_NOTE_SUFFIX, notes, { flag: "wx", flush: true });
}

/** Oldest first, with when and by which user of the system. What can't be read is told as it is. */
export function readRestoreNotes(dbFile: string): JsonRecord[] {
  const lines = textOf(realpathSync(dbFile) + RESTORE_NOTE_SUFFIX).split("\n");
  return lines.filter((line) => line !== "").map(noteIn);
}

/** Call it when they have been told. */
export function forgetRestoreNotes(dbFile: string): void {
  rmSync(realpathSync(dbFile) + RESTORE_NOTE_SUFFIX, { force: true });
}

function noteIn(line: string): JsonRecord {
  try {
    const note: unknown = JSON.parse(line);
    if (isObject(note)) return note;
  } catch {
    // Told as it is.
  }
  return { note: line };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** Some have none. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "-");
  }
}
