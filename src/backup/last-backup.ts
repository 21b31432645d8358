/**
 * What became of the newest backup of a database: a small file beside it, which the server's health
 * and metrics tell. The one who makes backups is another process, perhaps under another user.
 */
import { readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { keepOwner } from "../access/file-owner.ts";

const SUFFIX = ".last-backup";

export interface LastBackup {
  /** All that was answered by then is in the newest backup. ISO 8601; null: none was made. */
  taken_at: string | null;
  /** Why a later one failed; null: none has. */
  failure: string | null;
}

/** @returns null: nobody has tried. What can't be read counts as nothing. */
export function readLastBackup(dbFile: string): LastBackup | null {
  try {
    const { taken_at, failure } = JSON.parse(readFileSync(`${realpathSync(dbFile)}${SUFFIX}`, "utf8"));
    const isMoment = typeof taken_at === "string" && !Number.isNaN(Date.parse(taken_at));
    return { taken_at: isMoment ? taken_at : null, failure: typeof failure === "string" ? failure : null };
  } catch {
    return null;
  }
}

/** @throws Error It can't be written. */
export function writeLastBackup(dbFile: string, last: LastBackup): void {
  const path = `${realpathSync(dbFile)}${SUFFIX}`;
  const made = `${path}.new`;
  rmSync(made, { force: true });
  // Not through a link that somebody has put there.
  writeFileSync(made, `${JSON.stringify(last)}\n`, { flag: "wx" });
  keepOwner(made, dbFile);
  renameSync(made, path);
}
