/** `stock-db-server backup`: makes backups of a database that a server goes on serving. */
import { existsSync, realpathSync } from "node:fs";
import { setPriority } from "node:os";
import { type Backup, BackupFolder } from "../backup/backup-folder.ts";
import { readLastBackup, writeLastBackup } from "../backup/last-backup.ts";
import { rebuild } from "../backup/rebuild.ts";
import { takeBackup } from "../backup/take-backup.ts";
import { verifyByOpening } from "../backup/verify.ts";
import { redact } from "../config/redact.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Engine } from "../storage/engine.ts";
import { describeDatabase, engineNamed } from "../storage/engines.ts";
import { formatBytes } from "../storage/format-bytes.ts";
import type { InodeLock } from "../storage/inode-lock.ts";
import { sleep } from "../time/pauses.ts";
import { BACKUP_HELP, type BackupOptions, parseBackupOptions } from "./backup/options.ts";
import { readOptions } from "./flags.ts";
import { INTERRUPTED, runInterruptibly } from "./interruption.ts";

/** The server's own work comes first. */
const NICENESS = 10;
/**
 * With `--every`, a backup is restored and opened this often, and twice in what `--keep` keeps; the
 * others are read back.
 */
const OPEN_EVERY_MS = 86_400_000;

/** @returns The exit code: 0 done, 1 not done, or a backup is damaged, 2 wrong usage. */
export async function runBackup(argv: string[]): Promise<number> {
  const options = readOptions(() => parseBackupOptions(argv, process.env), BACKUP_HELP);
  if (typeof options === "number") return options;
  const { engine, name } = describeDatabase(options.dbFile);
  if (options.do === "take" && engine.openImage === undefined) return await tellTools(engine, name, options);
  return await runInterruptibly(async (signal) => {
    try {
      return await run(options, engine, signal);
    } catch (error) {
      if (signal.aborted) return INTERRUPTED;
      console.error(`backup: ${messageOf(error)}`);
      return messageOf(error);
    }
  });
}

/** @returns why it stopped; null: it is done. */
async function run(options: BackupOptions, engine: Engine, signal: AbortSignal): Promise<string | null> {
  if (options.do !== "take") {
    const folder = BackupFolder.open(options.to);
    return options.do === "list" ? list(folder, options.json) : await verify(folder, options, signal);
  }
  if (!existsSync(options.dbFile)) throw new Error(`there is no database ${options.dbFile}`);
  setPriority(NICENESS);
  const folder = BackupFolder.make(options.to);
  if (options.everyMs === null) {
    await takeOne({ options, engine, folder, opens: true, signal });
    return null;
  }
  return await takeForEver({ ...options, everyMs: options.everyMs }, { engine, folder, signal });
}

interface Taking {
  options: BackupOptions;
  engine: Engine;
  folder: BackupFolder;
  opens: boolean;
  signal: AbortSignal;
}

/** One that fails is told, and the next is tried at its time. An interruption is its usual end. */
async function takeForEver(
  options: BackupOptions & { everyMs: number },
  { engine, folder, signal }: Pick<Taking, "engine" | "folder" | "signal">,
): Promise<null> {
  let openedAt = Number.NEGATIVE_INFINITY;
  const openEveryMs = Math.min(OPEN_EVERY_MS, (options.everyMs * (options.keep ?? Infinity)) / 2);
  while (!signal.aborted) {
    const startedAt = performance.now();
    const opens = startedAt - openedAt >= openEveryMs;
    try {
      await takeOne({ options, engine, folder, opens, signal });
      if (opens) openedAt = startedAt;
    } catch (error) {
      if (!signal.aborted) console.error(`backup: ${messageOf(error)}`);
    }
    await sleep(Math.max(0, startedAt + options.everyMs - performance.now()), signal);
  }
  return null;
}

async function takeOne({ options, engine, folder, opens, signal }: Taking): Promise<void> {
  const { dbFile, keep, moved, json } = options;
  const startedAt = performance.now();
  let backup: Backup;
  let removed: number;
  let lock: InodeLock | null = null;
  try {
    lock = await folder.lock(signal);
    if (!moved) requireSameDatabase(folder, dbFile);
    backup = await takeBackup({ engine, dbFile, folder, opens, signal });
    removed = keep === null ? 0 : folder.prune(keep);
  } catch (error) {
    if (!signal.aborted) note(dbFile, readLastBackup(dbFile)?.taken_at ?? null, messageOf(error));
    throw error;
  } finally {
    lock?.release();
  }
  note(dbFile, backup.taken_at, null);
  const seconds = (performance.now() - startedAt) / 1_000;
  if (json) return console.log(JSON.stringify({ ...shown(backup), removed, seconds }));
  const all = formatBytes(bytesOf(backup));
  const checked = opens ? "restored and opened" : "read back";
  console.log(
    `${backup.taken_at} ${backup.name}: ${formatBytes(backup.new_bytes)} of ${all} are new and take ${formatBytes(backup.stored_bytes)}; ${checked}; ${seconds.toFixed(1)} s`,
  );
}

/** @throws Error The backups that are there are of another database. */
function requireSameDatabase(folder: BackupFolder, dbFile: string): void {
  const newest = folder.list().at(-1);
  if (newest === undefined || newest.database === realpathSync(dbFile)) return;
  throw new Error(
    `${folder.path} has backups of ${newest.database}: name another folder, or --moved where it is the same database`,
  );
}

/** The backup is there, whether the server can tell of it or not. */
function note(dbFile: string, takenAt: string | null, failure: string | null): void {
  try {
    writeLastBackup(dbFile, { taken_at: takenAt, failure });
  } catch (error) {
    console.error(`backup: the server can't be told of it: ${messageOf(error)}`);
  }
}

function list(folder: BackupFolder, json: boolean): string | null {
  for (const backup of folder.list()) {
    if (json) console.log(JSON.stringify(shown(backup)));
    else
      console.log(
        [backup.taken_at, backup.name, backup.engine, formatBytes(bytesOf(backup)), backup.database].join(
          "\t",
        ),
      );
  }
  return tellDamaged(folder);
}

/** @returns that there are some. */
function tellDamaged(folder: BackupFolder): string | null {
  const damaged = folder.damaged();
  for (const words of damaged) console.error(`backup: DAMAGED: ${words}`);
  return damaged.length === 0 ? null : "damaged";
}

/** @returns that one is damaged; null: none is. */
async function verify(
  folder: BackupFolder,
  { all, json }: BackupOptions,
  signal: AbortSignal,
): Promise<string | null> {
  const lock = await folder.lock(signal);
  try {
    const isListDamaged = tellDamaged(folder) !== null;
    const backups = folder.list();
    if (backups.length === 0) throw new Error(`there is no backup in ${folder.path}`);
    const damaged: string[] = [];
    const newest = backups.at(-1)!;
    for (const backup of all ? backups : [newest]) {
      const failure = await failureOf(backup, { folder, opens: backup === newest, signal });
      if (failure !== null) damaged.push(backup.name);
      const outcome = failure ?? (backup === newest ? "restored and opened" : "every checksum is right");
      if (json) console.log(JSON.stringify({ ...shown(backup), ok: failure === null, failure }));
      else console.log(`${backup.name}: ${outcome}`);
    }
    return damaged.length === 0 && !isListDamaged ? null : "damaged";
  } finally {
    lock.release();
  }
}

async function failureOf(
  backup: Backup,
  { folder, opens, signal }: Pick<Taking, "folder" | "opens" | "signal">,
): Promise<string | null> {
  try {
    if (opens) await verifyByOpening(backup, { engine: engineNamed(backup.engine), folder, signal });
    else await rebuild(folder, backup, null, signal);
    return null;
  } catch (error) {
    if (signal.aborted) throw error;
    return `DAMAGED: ${messageOf(error)}`;
  }
}

export function bytesOf({ parts }: Backup): number {
  return parts.reduce((all, { bytes }) => all + bytes, 0);
}

function shown(backup: Backup) {
  const { name, engine, database, taken_at, finished_at, server_version, new_bytes, stored_bytes, opened } =
    backup;
  const bytes = bytesOf(backup);
  return {
    name,
    taken_at,
    finished_at,
    engine,
    database,
    server_version,
    bytes,
    new_bytes,
    stored_bytes,
    opened,
  };
}

async function tellTools(engine: Engine, name: string, { dbFile, to }: BackupOptions): Promise<number> {
  if (engine.backupElsewhere === undefined) {
    console.error(`backup: ${redact(dbFile)} is ${name}: make backups where its database is`);
    return 1;
  }
  let isWell = true;
  for await (const step of await engine.backupElsewhere(dbFile, to)) {
    if (!("level" in step)) continue;
    if (step.level === "fail") isWell = false;
    console.log(`${step.level.padEnd(7)} ${step.subject}: ${step.finding}`);
    if (step.advice !== undefined) console.log(`        → ${step.advice}`);
  }
  return isWell ? 0 : 1;
}
