/**
 * The folder that backups of a database go to. Each is a folder of its own:
 *
 * - `backup.json`: what it is (manifest.ts),
 * - `chunks.index`: where its chunks are (chunk-index.ts),
 * - `chunks.pack`: the chunks that no backup before it had.
 *
 * A folder without `backup.json` is what later backups need of one that was removed. One that ends
 * in `.partial`, or begins with `copy-`, is there while somebody works in it.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type InodeLock, lockInode } from "../storage/inode-lock.ts";
import { sleep } from "../time/pauses.ts";
import { ChunkIndex } from "./chunk-index.ts";
import { BackupError, type Manifest, readManifest } from "./manifest.ts";

const MANIFEST_FILE = "backup.json";
export const INDEX_FILE = "chunks.index";
export const PACK_FILE = "chunks.pack";
const PARTIAL = ".partial";
/** Of folders with a database that was made of a backup, to see whether it opens. */
export const COPY_PREFIX = "copy-";
const NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z$/;
/** A backup or restore that goes on in the same folder is waited for. */
const LOCK_WAIT_MS = 60_000;
const LOCK_PAUSE_MS = 200;

export interface Backup extends Manifest {
  /** Of its folder: the moment, as a name. */
  name: string;
}

export class BackupFolder {
  readonly path: string;

  /** @param path Of a folder that is there. */
  constructor(path: string) {
    this.path = path;
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

  /** Oldest first. @throws BackupError One of them says nothing of itself. */
  list(): Backup[] {
    return readdirSync(this.path)
      .filter((name) => NAME.test(name) && existsSync(join(this.path, name, MANIFEST_FILE)))
      .sort()
      .map((name) => ({ name, ...readManifest(join(this.path, name, MANIFEST_FILE)) }));
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
    for (const name of readdirSync(this.path))
      if (name.endsWith(PARTIAL) || name.startsWith(COPY_PREFIX)) this.remove(name);
    this.#sweep();
    const path = join(this.path, `next${PARTIAL}`);
    mkdirSync(path);
    return path;
  }

  /** @param path of `begin`, whose files are on the disk. */
  publish(path: string, name: string): void {
    syncPath(path);
    renameSync(path, join(this.path, name));
    syncPath(this.path);
  }

  /** From now on it is a backup. */
  declare(name: string, manifest: string): void {
    const unfinished = join(this.path, name, `${MANIFEST_FILE}${PARTIAL}`);
    writeFileSync(unfinished, manifest, { mode: 0o600 });
    syncPath(unfinished);
    renameSync(unfinished, join(this.path, name, MANIFEST_FILE));
    syncPath(join(this.path, name));
  }

  /** Of a folder of `begin`, or a backup. */
  remove(name: string): void {
    rmSync(join(this.path, name), { recursive: true, force: true });
  }

  /** Removes all but the newest, and what none of those needs. @returns how many it removed. */
  prune(keep: number): number {
    const all = this.list();
    const old = all.slice(0, Math.max(0, all.length - keep));
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
    const needed = new Set(this.list().flatMap(({ packs }) => packs));
    for (const name of readdirSync(this.path)) {
      const isBackup = existsSync(join(this.path, name, MANIFEST_FILE));
      if (NAME.test(name) && !isBackup && !needed.has(name)) this.remove(name);
    }
  }
}

/** Two in one millisecond don't happen: each takes longer. */
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
