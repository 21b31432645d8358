/** Puts a database back from a backup. */
import { existsSync, linkSync, realpathSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { keepOwner } from "../access/file-owner.ts";
import type { Engine } from "../storage/engine.ts";
import { type Backup, type BackupFolder, backupName, syncPath } from "./backup-folder.ts";
import { rebuild } from "./rebuild.ts";
import { RESTORE_NOTE_SUFFIX, writeRestoreNote } from "./restore-note.ts";
import { requireOpens } from "./verify.ts";

/** Files beside the database: its witness is the last. */
const BESIDE = [RESTORE_NOTE_SUFFIX, ".epoch"];

export interface RestoreRequest {
  engine: Engine;
  folder: BackupFolder;
  backup: Backup;
  dbFile: string;
  signal: AbortSignal;
}

export interface Restored {
  /** In which the positions of clients begin anew. */
  epoch: string;
  /** Where the database is now that was there before; null: none was. */
  replaced: string | null;
}

/**
 * The new database is whole before it takes the place of one that is there, in one step.
 * @throws Error The backup is damaged, there is no room, or a server has what is there: that is as
 *   it was.
 */
export async function restoreBackup(request: RestoreRequest): Promise<Restored> {
  const { engine, folder, backup, signal } = request;
  const dbFile = existsSync(request.dbFile) ? realpathSync(request.dbFile) : request.dbFile;
  const made = `${dbFile}.restoring`;
  const companions = engine.forms.companions ?? [];
  const removeMade = (): void => {
    for (const suffix of ["", ...BESIDE, ...companions]) rmSync(made + suffix, { force: true });
  };
  removeMade();
  const isThere = existsSync(dbFile);
  const reserved = isThere ? await engine.reserve!(dbFile) : null;
  if (isThere && reserved === null) throw new Error(`a server has ${dbFile}: stop it first`);
  try {
    await rebuild(folder, backup, made, signal);
    await requireOpens(engine, made, backup.name);
    const epoch = await beginEpoch(engine, made);
    if (reserved?.isFree() === false) throw new Error(`a server has ${dbFile} since just now: stop it first`);
    const replaced = keep(dbFile, companions);
    writeRestoreNote(made, dbFile, { backup: backup.name, takenAt: backup.taken_at, epoch, replaced });
    for (const suffix of ["", ...BESIDE]) keepOwner(made + suffix, dbFile);
    // What belongs to the one before would be mixed into the new one.
    for (const suffix of companions) rmSync(dbFile + suffix, { force: true });
    renameSync(made, dbFile);
    // Without its witness, which comes last, the next server tells that the file was put back.
    for (const suffix of BESIDE) renameSync(made + suffix, dbFile + suffix);
    syncPath(dirname(dbFile));
    return { epoch, replaced };
  } finally {
    reserved?.release();
    removeMade();
  }
}

/** Closing it also brings its log into the file, so that it is one file. */
async function beginEpoch(engine: Engine, path: string): Promise<string> {
  const { writer, close } = await engine.open!({ dbFile: path, durability: "full" });
  try {
    return await writer.beginEpoch!();
  } finally {
    await close();
  }
}

/** Gives what is there second names. @returns that of the database; null: there is nothing. */
function keep(dbFile: string, companions: readonly string[]): string | null {
  const kept = `${dbFile}.replaced-${backupName(Date.now())}`;
  const there = ["", ...companions].filter((suffix) => existsSync(dbFile + suffix));
  for (const suffix of there) linkSync(dbFile + suffix, kept + suffix);
  return there.length === 0 ? null : kept;
}
