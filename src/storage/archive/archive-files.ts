/**
 * Rows that were taken out of the database, in files of Parquet: a folder for each series, in the
 * layout that Hive has made known, and in it a file for each period.
 *
 *     DIR/kind=ticks/ticker=AAPL/type=trade/2024-01-02.1.parquet
 *
 * A period of ticks is a day in UTC, that of other kinds a month. The number counts how often the
 * file was written: the highest counts, and rows that came later are in it beside the earlier ones.
 * A file has its name only once it is whole, and is never changed.
 */
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileNameOf, textOfFileName } from "../../market/file-name.ts";
import { nullIfAbsent } from "../../observe/file-errors.ts";
import { type InodeLock, lockInode } from "../inode-lock.ts";
import type { ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf } from "../model/kinds.ts";
import { compareTexts, inByteOrder } from "../series-order.ts";

/** What a file system takes. */
const NAME_BYTES_MAX = 255;
const DAY_MS = 86_400_000;
/** Folders of series whose names are kept; at this number they are forgotten. */
const LISTED_MAX = 10_000;
const CLOCK_STEP_MS = 2_000;
const PARTIAL = ".partial";
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
    // Of a process that was killed.
    for (const name of await readdir(folder))
      if (name.endsWith(PARTIAL)) await rm(join(folder, name), { force: true });
    const before = (await this.filesOf(series)).find(({ name }) => name === period.name);
    return new StagedFile(folder, period.name, before ?? null);
  }

  /**
   * For whoever writes files: of two at once, each would replace what the other has written. Makes
   * the folder. @throws Error Another process has it, or it can't be made.
   */
  async lock(): Promise<InodeLock> {
    await mkdir(this.folder, { recursive: true });
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
    const names = (await readdir(folder).catch(nullIfAbsent)) ?? [];
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

async function list(folder: string): Promise<ArchivedFile[]> {
  const newest = new Map<string, ArchivedFile>();
  for (const file of (await readdir(folder).catch(nullIfAbsent)) ?? []) {
    const [, name, version] = NAME.exec(file) ?? [];
    if (name === undefined || (newest.get(name)?.version ?? 0) >= Number(version)) continue;
    newest.set(name, { ...periodNamed(name), path: join(folder, file), version: Number(version) });
  }
  return [...newest.values()].sort((a, b) => a.from - b.from);
}

/** None: the folder is somebody else's. */
function textOf(name: string): string[] {
  try {
    return [textOfFileName(name)];
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

  /** It is on the disk when this resolves, and what it replaces is gone. */
  async publish(): Promise<void> {
    await rename(this.path, this.#goal);
    await synced(this.#folder);
    if (this.#before !== null) await rm(this.#before.path, { force: true });
  }

  async discard(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

/** The names in a folder, and that of the folder itself, outlive a loss of power. */
async function synced(folder: string): Promise<void> {
  for (let at = folder, levels = 0; levels < 4; at = join(at, ".."), levels++) {
    if ((await stat(at).catch(nullIfAbsent)) === null) return;
    const handle = await open(at, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
