/**
 * The folder that backups of a database go to. Its mark, `stock-db-server-backups.json`, says so.
 * Each backup is a folder of its own:
 *
 * - `backup.json`: what it is (manifest.ts),
 * - `chunks.index`: where its chunks are (chunk-index.ts),
 * - `chunks.pack`: the chunks that no backup before it had.
 *
 * A folder without `backup.json` is what later backups need of one that was removed. One that
 * begins with `unfinished-` is there while somebody works in it.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { messageOf } from "../protocol/message-of.ts";
import { type InodeLock, lockInode } from "../storage/inode-lock.ts";
import { sleep } from "../time/pauses.ts";
import { ChunkIndex } from "./chunk-index.ts";
import { BackupError, type Manifest, readManifest } from "./manifest.ts";

const MANIFEST_FILE = "backup.json";
export const INDEX_FILE = "chunks.index";
export const PACK_FILE = "chunks.pack";
const MARK_FILE = "stock-db-server-backups.json";
const UNFINISHED = "unfinished-";
const NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z$/;
const FOLDER_MODE = 0o700;
/** A backup or restore that goes on in the same folder is waited for. */
const LOCK_WAIT_MS = 60_000;
const LOCK_PAUSE_MS = 200;

export interface Backup extends Manifest {
  /** Of its folder: the moment, as a name. */
  name: string;
}

export class BackupFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** @throws Error There is no such folder, or it has no backups. */
  static open(path: string): BackupFolder {
    if (!existsSync(path)) throw new Error(`there is no folder ${path}`);
    if (!existsSync(join(path, MARK_FILE)))
      throw new Error(`${path} is no folder of backups: it has no ${MARK_FILE}`);
    return new BackupFolder(path);
  }

  /** Makes it where it isn't there. @throws Error Something else is in it. */
  static make(path: string): BackupFolder {
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    const mark = join(path, MARK_FILE);
    if (!existsSync(mark)) {
      if (readdirSync(path).length > 0)
        throw new Error(`${path} has other files in it: expected a folder of backups, or an empty one`);
      writeFileSync(mark, `${JSON.stringify({ format: 1 })}\n`, { mode: 0o600 });
    }
    return new BackupFolder(path);
  }

  /** @throws Error Another process goes on working in it. */
  async lock(signal: AbortSignal): Promise<InodeLock> {
    const until = performance.now() + LOCK_WAIT_MS;
    for (;;) {
      const lock = lockInode("backups", this.path);
      if (lock !== null) return lock;
      if (performance.now() > until || signal.aborted)
        throw new Error(`${this.path} is in use by another backup or restore`);
      await sleep(LOCK_PAUSE_MS, signal);
    }
  }

  /** Those that can be read, in the order in which they were made. */
  list(): Backup[] {
    return this.#read().backups;
  }

  /** What is wrong with those that can't. */
  damaged(): string[] {
    return this.#read().damaged;
  }

  #read(): { backups: Backup[]; damaged: string[] } {
    const backups: Backup[] = [];
    const damaged: string[] = [];
    for (const name of readdirSync(this.path)) {
      const manifest = join(this.path, name, MANIFEST_FILE);
      if (!NAME.test(name) || !existsSync(manifest)) continue;
      try {
        backups.push({ name, ...readManifest(manifest) });
      } catch (error) {
        damaged.push(messageOf(error));
      }
    }
    return { backups: backups.sort((a, b) => a.number - b.number), damaged };
  }

  /** @throws BackupError It is not what the manifest says. */
  indexOf({ name, index_sha256 }: Backup): ChunkIndex {
    const path = join(this.path, name, INDEX_FILE);
    if (!existsSync(path)) throw new BackupError(`${path} isn't there`);
    const bytes = readFileSync(path);
    if (createHash("sha256").update(bytes).digest("hex") !== index_sha256)
      throw new BackupError(`${path} is damaged: its checksum is another`);
    return new ChunkIndex(bytes);
  }

  packPath(name: string): string {
    return join(this.path, name, PACK_FILE);
  }

  /** 0 where it isn't there. */
  packBytes(name: string): number {
    return statSync(this.packPath(name), { throwIfNoEntry: false })?.size ?? 0;
  }

  /** An empty folder for the next backup, once those that were not finished are removed. */
  begin(): string {
    for (const name of readdirSync(this.path)) if (name.startsWith(UNFINISHED)) this.remove(name);
    this.#sweep();
    return this.scratch("backup-");
  }

  /** An empty folder, which the next backup removes if nobody else does. */
  scratch(name: string): string {
    return mkdtempSync(join(this.path, UNFINISHED + name));
  }

  /** @param path of `begin`, whose files are on the disk. */
  publish(path: string, name: string): void {
    syncPath(path);
    renameSync(path, join(this.path, name));
    syncPath(this.path);
  }

  /** From now on it is a backup. */
  declare(name: string, manifest: string): void {
    const unfinished = join(this.path, name, `${MANIFEST_FILE}.new`);
    writeFileSync(unfinished, manifest, { mode: 0o600 });
    syncPath(unfinished);
    renameSync(unfinished, join(this.path, name, MANIFEST_FILE));
    syncPath(join(this.path, name));
  }

  /** Of a folder of `begin`, or a backup. */
  remove(name: string): void {
    rmSync(join(this.path, name), { recursive: true, force: true });
  }

  /**
   * Removes all but the newest, and what none of those needs. The newest that was opened stays.
   * @returns how many it removed.
   */
  prune(keep: number): number {
    const all = this.list();
    const opened = all.findLast((backup) => backup.opened);
    const old = all.slice(0, Math.max(0, all.length - keep)).filter((backup) => backup !== opened);
    for (const { name } of old) {
      // First what makes it a backup: what is left then is a pack that may be needed.
      rmSync(join(this.path, name, MANIFEST_FILE));
      rmSync(join(this.path, name, INDEX_FILE), { force: true });
    }
    this.#sweep();
    return old.length;
  }

  /** Removes what is no backup, and what no backup needs. */
  #sweep(): void {
    const { backups, damaged } = this.#read();
    // What those need isn't known.
    if (damaged.length > 0) return;
    const needed = new Set(backups.flatMap(({ packs }) => packs));
    for (const name of readdirSync(this.path)) {
      const isBackup = existsSync(join(this.path, name, MANIFEST_FILE));
      if (NAME.test(name) && !isBackup && !needed.has(name)) this.remove(name);
    }
  }
}

/** Two in one millisecond don't happen, as each takes longer, unless the clock is set back. */
export function backupName(takenAtMs: number): string {
  return new Date(takenAtMs).toISOString().replaceAll(":", "-");
}

/** A file, or the names in a folder, are on the disk then. */
export function syncPath(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
