/** Puts a database back from a backup. */
import { existsSync, linkSync, realpathSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Engine } from "../storage/engine.ts";
import { type Backup, type BackupFolder, backupName, syncPath } from "./backup-folder.ts";
import { rebuild } from "./rebuild.ts";
import { requireOpens } from "./verify.ts";

const WITNESS_SUFFIX = ".epoch";

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
 * The new database is whole before it takes the place of one that is there, in one step. No server
 * may have that one.
 * @throws Error The backup is damaged, or there is no room: what was there is as it was.
 */
export async function restoreBackup(request: RestoreRequest): Promise<Restored> {
  const { engine, folder, backup, signal } = request;
  const dbFile = existsSync(request.dbFile) ? realpathSync(request.dbFile) : request.dbFile;
  const made = `${dbFile}.restoring`;
  const beside = [WITNESS_SUFFIX, ...(engine.forms.companions ?? [])];
  const removeMade = (): void => {
    for (const suffix of ["", ...beside]) rmSync(made + suffix, { force: true });
  };
  removeMade();
  try {
    await rebuild(folder, backup, made, signal);
    await requireOpens(engine, made, backup.name);
    const epoch = await beginEpoch(engine, made);
    const replaced = existsSync(dbFile) ? keep(engine, dbFile) : null;
    renameSync(made, dbFile);
    // What is left of the one before: the start of a server would tell it from the new one's, too.
    for (const suffix of engine.forms.companions ?? []) rmSync(dbFile + suffix, { force: true });
    renameSync(made + WITNESS_SUFFIX, dbFile + WITNESS_SUFFIX);
    syncPath(dirname(dbFile));
    return { epoch, replaced };
  } finally {
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

/** Gives the files of a database second names. @returns that of the database. */
function keep(engine: Engine, dbFile: string): string {
  const kept = `${dbFile}.replaced-${backupName(Date.now())}`;
  for (const suffix of ["", ...(engine.forms.companions ?? [])])
    if (existsSync(dbFile + suffix)) linkSync(dbFile + suffix, kept + suffix);
  return kept;
}
