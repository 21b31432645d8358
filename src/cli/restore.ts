/** `stock-db-server restore`: puts a database back from a backup. */
import { existsSync, lstatSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type Backup, BackupFolder } from "../backup/backup-folder.ts";
import { restoreBackup } from "../backup/restore-backup.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Engine } from "../storage/engine.ts";
import { describeDatabase } from "../storage/engines.ts";
import { formatBytes } from "../storage/format-bytes.ts";
import { parseRestoreOptions, RESTORE_HELP, type RestoreOptions } from "./backup/options.ts";
import { bytesOf } from "./backup.ts";
import { readOptions } from "./flags.ts";
import { INTERRUPTED, runInterruptibly } from "./interruption.ts";

/** @returns The exit code: 0 done, 1 not done: what was there is as it was, 2 wrong usage. */
export async function runRestore(argv: string[]): Promise<number> {
  const options = readOptions(() => parseRestoreOptions(argv, process.env), RESTORE_HELP);
  if (typeof options === "number") return options;
  return await runInterruptibly(async (signal) => {
    try {
      await restore(options, signal);
      return null;
    } catch (error) {
      if (signal.aborted) return INTERRUPTED;
      console.error(`restore: ${messageOf(error)}`);
      return messageOf(error);
    }
  });
}

async function restore(options: RestoreOptions, signal: AbortSignal): Promise<void> {
  const { dbFile, json, from } = options;
  const { engine } = describeDatabase(dbFile);
  const folder = BackupFolder.open(from);
  const lock = await folder.lock(signal);
  try {
    requirePlace(options, engine);
    const backup = chosen(folder, options, engine);
    mkdirSync(dirname(dbFile), { recursive: true });
    const { epoch, replaced } = await restoreBackup({ engine, folder, backup, dbFile, signal });
    if (json) {
      const { name, taken_at } = backup;
      return console.log(JSON.stringify({ db_file: dbFile, backup: name, taken_at, epoch, replaced }));
    }
    console.log(`${dbFile}: restored as of ${backup.taken_at}, ${formatBytes(bytesOf(backup))}`);
    if (replaced !== null) console.log(`What was there is ${replaced}; remove it when nobody needs it.`);
    console.log(`A new epoch begins, ${epoch}: clients that come back get a snapshot.`);
  } finally {
    lock.release();
  }
}

/** @throws Error There is none by then, or it is of another engine. */
function chosen(folder: BackupFolder, { atMs }: RestoreOptions, engine: Engine): Backup {
  const all = folder.list();
  if (all.length === 0) throw new Error(`there is no backup in ${folder.path}`);
  const backup = all.findLast(({ taken_at }) => atMs === null || Date.parse(taken_at) <= atMs);
  if (backup === undefined)
    throw new Error(
      `no backup was taken by ${new Date(atMs!).toISOString()}: the oldest is of ${all[0]!.taken_at}`,
    );
  if (!(backup.engine in engine.names)) {
    const endings = engine.forms.endings?.join(" or ") ?? "its form";
    throw new Error(
      `${backup.name} is a backup of ${backup.engine}, and --db-file means another engine by ${endings}`,
    );
  }
  return backup;
}

/** @throws Error A database is there, and was not to be replaced. */
function requirePlace({ dbFile, replace }: RestoreOptions, engine: Engine): void {
  if (engine.openImage === undefined) throw new Error("expected the path of a SQLite or DuckDB file");
  const isLink = lstatSync(dbFile, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (isLink && !existsSync(dbFile)) throw new Error(`${dbFile} is a link to what isn't there`);
  const there = ["", ...(engine.forms.companions ?? [])].find((suffix) => existsSync(dbFile + suffix));
  if (there === undefined || replace) return;
  throw new Error(
    `${dbFile}${there} is there already: --replace keeps it beside the new one, with another name`,
  );
}
