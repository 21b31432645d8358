/**
 * Rows that were taken out of the database, in files of Parquet: a folder for each series, in the
 * layout that Hive has made known, and in it a file for each period.
 *
 *     DIR/kind=ticks/ticker=AAPL/type=trade/2024-01-02.1.parquet
 *
 * A period of ticks is a day in UTC, that of other kinds a month. The number counts how often the
 * file was written: the highest counts, and rows that came later are in it beside the earlier ones.
 * A file has its name only once it is whole, and is never changed. One that was replaced is kept
 * for some minutes under another name, for those that read it.
 */
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileNameOf, textOfFileName } from "../../market/file-name.ts";
import { errorCode, nullIfAbsent } from "../../observe/file-errors.ts";
import { unavailable } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { type InodeLock, lockInode } from "../inode-lock.ts";
import type { ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf } from "../model/kinds.ts";
import { compareTexts, inByteOrder } from "../series-order.ts";

/** What a file system takes. */
const NAME_BYTES_MAX = 255;
/** From the folder of a series up to that of the archive, and the one that this is in. */
const LEVELS_MAX = 5;
const DAY_MS = 86_400_000;
/** Folders of series whose names are kept; at this number they are forgotten. */
const LISTED_MAX = 10_000;
const CLOCK_STEP_MS = 2_000;
const PARTIAL = ".partial";
const REPLACED = ".replaced";
/** Readers of a large answer may come to it late. */
const REPLACED_KEPT_MS = 600_000;
const NAME = /^(\d{4}-\d{2}(?:-\d{2})?)\.(\d{1,9})\.parquet$/;

export interface ArchivedSeries {
  kind: KindName;
  ticker: string;
  /** Null where the kind has none. */
  part: string | null;
}

/** A day or a month. */
export interface Period {
  /** `2024-01-02` or `2024-01`. */
  name: string;
  /** In µs since 1970; `until` is exclusive. */
  from: number;
  until: number;
}

export interface ArchivedFile extends Period {
  path: string;
  version: number;
}

/** The files of a series that a walk may need, the earliest first. */
export interface ArchivedRows extends ArchivedSeries {
  files: ArchivedFile[];
}

/** Rows that are removed by their age have a time of day. */
export function isArchivable(kind: KindName): boolean {
  return kindOf(kind).stamp.type !== "date";
}

/** @param micros since 1970. */
export function periodOf(kind: KindName, micros: number): Period {
  const date = new Date(Math.floor(micros / 1_000));
  const day = date.toISOString().slice(0, "2024-01-02".length);
  if (kindOf(kind).noun === "ticks") return periodNamed(day);
  return periodNamed(day.slice(0, "2024-01".length));
}

function periodNamed(name: string): Period {
  const begin = new Date(name.length === "2024-01".length ? `${name}-01` : name);
  const fromMs = begin.getTime();
  const untilMs =
    name.length === "2024-01".length
      ? Date.UTC(begin.getUTCFullYear(), begin.getUTCMonth() + 1)
      : fromMs + DAY_MS;
  return { name, from: fromMs * 1_000, until: untilMs * 1_000 };
}

export class ArchiveFiles {
  readonly folder: string;
  /** By their paths. */
  readonly #listed = new Map<string, { changedMs: number; files: readonly ArchivedFile[] }>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * The series of a walk that have files with times of it, in the order of the walk.
   * @param from in µs since 1970, inclusive. @param to inclusive.
   */
  async find(
    { kind, tickers, parts, after = null }: Pick<ColumnQuery, "kind" | "tickers" | "parts" | "after">,
    { from, to }: { from: number; to: number },
  ): Promise<ArchivedRows[]> {
    const found: ArchivedRows[] = [];
    for (const ticker of await this.#among(join(this.folder, `kind=${kind}`), "ticker", tickers)) {
      if (after !== null && compareTexts(ticker, after.ticker) < 0) continue;
      for (const part of await this.#partsOf(kind, ticker, parts)) {
        const isBefore =
          part !== null && ticker === after?.ticker && compareTexts(part, after.part ?? "") < 0;
        if (isBefore) continue;
        const files = await this.filesOf({ kind, ticker, part });
        const within = files.filter((file) => file.until > from && file.from <= to);
        if (within.length > 0) found.push({ kind, ticker, part, files: within });
      }
    }
    return found;
  }

  /** Those that have a folder, in order of their bytes. */
  tickers(kind: KindName): Promise<string[]> {
    return this.#among(join(this.folder, `kind=${kind}`), "ticker", null);
  }

  /** Where the file is that was found before: it may have been replaced meanwhile. */
  async pathNow({ path }: ArchivedFile): Promise<string> {
    return (await stat(path).catch(nullIfAbsent)) === null ? path + REPLACED : path;
  }

  /** The newest of each period, the earliest first. */
  async filesOf(series: ArchivedSeries): Promise<readonly ArchivedFile[]> {
    const folder = this.#folderOf(series);
    const found = folder === null ? null : await stat(folder).catch(nullIfAbsent);
    if (folder === null || found === null) return [];
    const known = this.#listed.get(folder);
    if (known?.changedMs === found.mtimeMs) return known.files;
    const files = await list(folder);
    // A folder may change again within the step of its clock.
    if (found.mtimeMs < Date.now() - CLOCK_STEP_MS) {
      if (this.#listed.size >= LISTED_MAX) this.#listed.clear();
      this.#listed.set(folder, { changedMs: found.mtimeMs, files });
    }
    return files;
  }

  /**
   * Where a file of the period is written, and what then makes it count. The caller has the lock.
   * @throws Error The series has a name that no folder can have.
   */
  async stage(series: ArchivedSeries, period: Period): Promise<StagedFile> {
    const folder = this.#folderOf(series);
    if (folder === null)
      throw new Error(`${JSON.stringify(series.part ?? series.ticker)} is too long for the name of a folder`);
    await mkdir(folder, { recursive: true });
    await tidy(folder);
    const before = (await this.filesOf(series)).find(({ name }) => name === period.name);
    return new StagedFile(folder, period.name, before ?? null);
  }

  /**
   * For whoever writes files: of two at once, each would replace what the other has written.
   * @throws Error Another process has it, or it isn't there.
   */
  lock(): InodeLock {
    const lock = lockInode("archive", this.folder);
    if (lock === null) throw new Error(`another server writes into --archive ${this.folder}`);
    return lock;
  }

  async #partsOf(
    kind: KindName,
    ticker: string,
    parts: readonly string[] | null,
  ): Promise<readonly (string | null)[]> {
    const { part } = kindOf(kind);
    if (part === null) return [null];
    const folder = this.#folderOf({ kind, ticker, part: null });
    return folder === null ? [] : this.#among(folder, part, parts);
  }

  /** @param wanted null: those that have a folder. */
  async #among(folder: string, column: string, wanted: readonly string[] | null): Promise<string[]> {
    if (wanted !== null) return inByteOrder(wanted);
    const start = `${column}=`;
    const names = await namesIn(folder);
    return inByteOrder(
      names.filter((name) => name.startsWith(start)).flatMap((name) => textOf(name.slice(start.length))),
    );
  }

  /** Null: it can have none. @param series without a part: that of all its parts. */
  #folderOf({ kind, ticker, part }: ArchivedSeries): string | null {
    const column = kindOf(kind).part;
    if (!ticker.isWellFormed() || part?.isWellFormed() === false) return null;
    const names = [
      `ticker=${fileNameOf(ticker)}`,
      ...(part === null ? [] : [`${column}=${fileNameOf(part)}`]),
    ];
    if (names.some((name) => name.length > NAME_BYTES_MAX)) return null;
    return join(this.folder, `kind=${kind}`, ...names);
  }
}

/** None where it isn't there. @throws RequestError 503 */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw unavailable(`archive: ${folder} can't be read`, messageOf(error));
  }
}

async function list(folder: string): Promise<ArchivedFile[]> {
  const newest = new Map<string, ArchivedFile>();
  for (const file of await namesIn(folder)) {
    const [, name, version] = NAME.exec(file) ?? [];
    if (name === undefined || (newest.get(name)?.version ?? 0) >= Number(version)) continue;
    newest.set(name, { ...periodNamed(name), path: join(folder, file), version: Number(version) });
  }
  return [...newest.values()].sort((a, b) => a.from - b.from);
}

/**
 * Removes what a process left that was killed, and what was replaced some time ago. The caller has
 * the lock.
 */
async function tidy(folder: string): Promise<void> {
  const newest = new Set((await list(folder)).map(({ path }) => path));
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const isOld = name.endsWith(REPLACED) && (await ageMs(path)) > REPLACED_KEPT_MS;
    const isLeft = NAME.test(name) && !newest.has(path);
    if (isOld || isLeft || name.endsWith(PARTIAL)) await rm(path, { force: true });
  }
}

/** Since it was replaced: a rename changes this time. */
async function ageMs(path: string): Promise<number> {
  const found = await stat(path).catch(nullIfAbsent);
  return found === null ? 0 : Date.now() - found.ctimeMs;
}

/** None: the folder is somebody else's, or is called in another way than ours. */
function textOf(name: string): string[] {
  try {
    const text = textOfFileName(name);
    return fileNameOf(text) === name ? [text] : [];
  } catch {
    return [];
  }
}

/** A file that counts for nothing until it is published. */
export class StagedFile {
  /** Where it is written. */
  readonly path: string;
  readonly #folder: string;
  readonly #goal: string;
  readonly #before: ArchivedFile | null;

  constructor(folder: string, period: string, before: ArchivedFile | null) {
    this.#folder = folder;
    this.#before = before;
    this.#goal = join(folder, `${period}.${(before?.version ?? 0) + 1}.parquet`);
    this.path = this.#goal + PARTIAL;
  }

  /** It is on the disk when this resolves, in the place of what it replaces. */
  async publish(): Promise<void> {
    await rename(this.path, this.#goal);
    if (this.#before !== null) await rename(this.#before.path, this.#before.path + REPLACED);
    await synced(this.#folder);
  }

  /** As it was before: none of its rows was removed from the database. */
  async withdraw(): Promise<void> {
    if (this.#before !== null) await rename(this.#before.path + REPLACED, this.#before.path);
    await rm(this.#goal, { force: true });
    await synced(this.#folder);
  }

  async discard(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

/** The names in a folder, and that of the folder itself, outlive a loss of power. */
async function synced(folder: string): Promise<void> {
  for (let at = folder, levels = 0; levels < LEVELS_MAX; at = join(at, ".."), levels++) {
    const handle = await open(at, "r").catch(() => null);
    if (handle === null) return;
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
