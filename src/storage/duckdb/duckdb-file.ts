/**
 * Opens a DuckDB file, once in this process, with every setting that matters, and holds what all
 * that use it share.
 */
import { existsSync, mkdirSync, realpathSync, statSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { messageOf } from "../../protocol/message-of.ts";
import { DatabaseGoneError } from "../contract.ts";
import { OpenedFile } from "../opened-file.ts";
import { DiskRoom } from "./disk-room.ts";
import { isFatal } from "./duckdb-errors.ts";
import { DUCKDB_FORMAT } from "./file-format.ts";
import { type OwnNames, ownNames } from "./own-names.ts";
import { describeForeign } from "./own-objects.ts";
import { isOpenElsewhere } from "./read-only-file.ts";
import { type CountTypes, prepareSchema, readCountTypes } from "./schema.ts";
import { Session } from "./session.ts";
import { Turns } from "./turns.ts";

/** What queries spill to disk, beside the database: not so much that saves find no room. */
const SPILL_MAX = "10GB";
/**
 * A checkpoint writes what was saved since the one before as parts of the tables, up to 122,880
 * rows each, and would join small parts with what is behind them. Of the update log that rewrote
 * all of it, as long as its frames are many: saves waited 3 s, and a log larger than the memory
 * limit ended the instance. Parts whose rows are all deleted go all the same.
 */
const NO_JOINING = "0";
const BROKEN_TOLD_MS = 10_000;
/**
 * Files open in this process. Opening one again would succeed, and lose what either instance
 * writes.
 */
const openPaths = new Set<string>();

export interface DuckDbOptions {
  path: string;
  /** Memory of DuckDB, data and queries; the process takes about 100 MB besides. */
  memoryLimitMb: number;
  /**
   * Of all processes of the server, which bounds what statements of users may make of this one;
   * null: they are not bound by it.
   */
  serverMemoryBytes?: number | null | undefined;
  /** Threads that work on queries. */
  threads: number;
  /** Bound of the log of updates; without it, the log is left as long as it is. */
  updateLogBytes?: number | undefined;
  /** As the setting. */
  minFreeBytes?: number | null;
  /**
   * The process has no other work: should a statement of a user not end, `onFatal` is called, else
   * it is waited for.
   */
  ownProcess?: boolean | undefined;
  /**
   * DuckDB refuses everything from now on. The process must end: opening the file again in it is
   * not safe.
   */
  onFatal(error: Error): void;
  /**
   * A statement of the server's own failed because of what the file holds: a table is gone. Called
   * every `BROKEN_TOLD_MS` at most; without it, stderr is told.
   */
  onBroken?(reason: string): void;
}

/**
 * Binding takes the third power of it, and hears no interrupt: 20 s at DuckDB's own 1,000, 0.3 s at
 * this.
 */
const EXPRESSION_DEPTH_MAX = 250;

export class DuckDbFile {
  /** Changes when a count that isn't whole is saved, or a user alters a table. */
  countTypes: CountTypes;
  /** Called when the WAL has been brought into the file. */
  onCheckpoint: () => void = () => {};
  /** What opening did to the file, for the log; null if nothing. */
  readonly preparation: string | null;
  /**
   * What the file held at the start that isn't the server's and is in its way, a sentence; null if
   * nothing.
   */
  readonly foreign: string | null;
  /** Commits, of saves and of SQL written by users. */
  readonly commits = new Turns();
  /** Commits of SQL written by users so far. */
  foreignCommits = 0;
  /**
   * Ends the transactions of users that stand in the way of a save; resolves when they are rolled
   * back.
   */
  stopUserWrites: () => Promise<void> = async () => {};
  /**
   * Does the work, within a turn of `commits`, while no transaction of a user's that writes is
   * open.
   *
   * @throws StorageBusyError one doesn't end.
   */
  withoutUserWrites: (work: () => Promise<void>) => Promise<void> = (work) => work();
  /** The same, while none of a user's runs, as they share DuckDB's memory with the work. */
  withoutUserSql: <T>(work: () => Promise<T>) => Promise<T> = (work) => work();
  /** Threads that work on queries. */
  readonly threads: number;
  readonly room: DiskRoom;
  readonly #names: OwnNames;
  readonly #instance: DuckDBInstance;
  readonly #release: () => void;
  readonly #onFatal: (error: Error) => void;
  readonly #path: string;
  readonly #opened: OpenedFile;
  /** The WAL was written to since the last checkpoint, which removes it. */
  #hasWal = false;
  #walLost: string | null = null;
  readonly #onBroken: (reason: string) => void;
  #brokenToldAt = Number.NEGATIVE_INFINITY;
  #failed = false;
  #checkpointing = false;

  private constructor(
    instance: DuckDBInstance,
    opened: {
      path: string;
      threads: number;
      names: OwnNames;
      minFreeBytes: number | null;
      release: () => void;
      preparation: string | null;
      foreign: string | null;
      countTypes: CountTypes;
      onFatal(error: Error): void;
      onBroken(reason: string): void;
    },
  ) {
    this.threads = opened.threads;
    this.room = new DiskRoom(opened.path, opened.minFreeBytes);
    this.#path = opened.path;
    this.#opened = new OpenedFile(opened.path, DUCKDB_FORMAT);
    this.#names = opened.names;
    this.#instance = instance;
    this.#release = opened.release;
    this.#onFatal = opened.onFatal;
    this.#onBroken = opened.onBroken;
    this.preparation = opened.preparation;
    this.foreign = opened.foreign;
    this.countTypes = opened.countTypes;
  }

  /**
   * Creates the file, or upgrades it, as needed; replays its WAL.
   *
   * @throws Error it can't be opened or upgraded, or is open already. After that the process should
   *   end: a WAL whose replay failed may have left DuckDB's memory damaged.
   */
  static async open({
    path,
    memoryLimitMb,
    threads,
    minFreeBytes = null,
    onFatal,
    onBroken = (reason) => console.error(`ERROR: ${reason}`),
  }: DuckDbOptions): Promise<DuckDbFile> {
    const release = claim(path);
    let instance: DuckDBInstance | null = null;
    try {
      removeEmptyFile(path);
      instance = await DuckDBInstance.create(path, {
        threads: String(threads),
        memory_limit: `${memoryLimitMb}MB`,
        max_temp_directory_size: SPILL_MAX,
        // No query reads or writes other files or loads code. It still may name the database's own:
        // see user-sql-statement.ts.
        enable_external_access: "false",
        autoinstall_known_extensions: "false",
        autoload_known_extensions: "false",
        // See disk-room.ts: `checkpointIfLong` does it.
        wal_autocheckpoint: "1TB",
        max_vacuum_tasks: NO_JOINING,
      });
      const session = new Session(await instance.connect());
      const names = await ownNames(session.connection);
      await session.connection.run(names.begin);
      await session.connection.run("SET GLOBAL TimeZone = 'UTC'");
      await session.connection.run("PRAGMA disable_checkpoint_on_shutdown");
      await session.connection.run(`SET GLOBAL max_expression_depth = ${EXPRESSION_DEPTH_MAX}`);
      const prepared = await prepareSchema(session, names.schema);
      const foreign = await describeForeign(session);
      const countTypes = await readCountTypes(session);
      await session.connection.run("SET GLOBAL lock_configuration = true");
      session.close();
      return new DuckDbFile(instance, {
        path: realpathSync(path),
        threads,
        names,
        minFreeBytes,
        release,
        preparation: prepared,
        foreign: foreign === null ? null : `the file holds ${foreign}`,
        countTypes,
        onFatal,
        onBroken,
      });
    } catch (error) {
      instance?.closeSync();
      release();
      throw new Error(`cannot open ${path}: ${explain(error)}`, { cause: error });
    }
  }

  /** Its names are the server's own: see own-names.ts. */
  async connect(): Promise<Session> {
    const session = await this.connectForUser();
    await this.beginOwnNames(session);
    return session;
  }

  /** Its names are a user's. */
  async connectForUser(): Promise<Session> {
    return new Session(await this.#instance.connect());
  }

  async beginOwnNames({ connection }: Session): Promise<void> {
    await connection.run(this.#names.begin);
  }

  async endOwnNames({ connection }: Session): Promise<void> {
    await connection.run(this.#names.end);
  }

  async refreshCountTypes(session: Session): Promise<void> {
    this.countTypes = await readCountTypes(session);
  }

  /** Why the file, or its WAL, is not any more what was opened; null: all is well. */
  lost(): string | null {
    this.#walLost ??= this.#hasWal && !this.#checkpointing ? this.#findWalLost() : null;
    return this.#walLost ?? this.#opened.lost();
  }

  /**
   * To be called when a save was committed.
   *
   * @throws DatabaseGoneError it went into a file that is lost.
   */
  committed(): void {
    this.#hasWal = true;
    const lost = this.lost();
    if (lost !== null) throw new DatabaseGoneError(lost);
  }

  #findWalLost(): string | null {
    const wal = `${this.#path}.wal`;
    if (existsSync(wal)) return null;
    return `${wal} was removed while the server had it open; restore the database from a copy, and restart the server`;
  }

  /** Everything fails from then on: the first error says why. */
  reportFatal(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#onFatal(error instanceof Error ? error : new Error(String(error)));
  }

  /** Nobody who asks or saves is at fault. */
  reportBroken(what: string, error: unknown): void {
    const now = performance.now();
    if (now - this.#brokenToldAt < BROKEN_TOLD_MS) return;
    this.#brokenToldAt = now;
    this.#onBroken(
      `${what} failed, as the database's tables are not as they were: ${messageOf(error).split("\n")[0]}`,
    );
  }

  /**
   * Brings a WAL that has become long into the file, between two commits. Not waited for by the
   * commit that made it long.
   */
  checkpointIfLong(): void {
    if (this.#checkpointing || this.#failed || !this.room.wantsCheckpoint()) return;
    this.#checkpointing = true;
    void this.commits
      .run(() => this.#checkpoint())
      .catch((error) => {
        // A statement of a user's may be in its way: the next commit tries again.
        if (isFatal(error)) this.reportFatal(error);
      })
      .finally(() => {
        this.#checkpointing = false;
      });
  }

  /**
   * Within a turn of `commits`: gives the disk back what the WAL takes, if it can be brought into
   * the file.
   */
  async shortenWal(): Promise<void> {
    if (this.#failed || !this.room.wantsCheckpoint()) return;
    try {
      await this.#checkpoint();
    } catch (error) {
      if (isFatal(error)) this.reportFatal(error);
    }
  }

  /**
   * Writes the WAL into the file, if there is room and nobody in the way; else that is left to the
   * next who opens it. Every session must be closed.
   *
   * @param inUse but for those of statements that don't end.
   */
  async close({ inUse = false }: { inUse?: boolean } = {}): Promise<void> {
    try {
      if (!inUse && this.lost() === null && this.room.takesCheckpoint()) await this.#checkpoint();
    } finally {
      this.#instance.closeSync();
      this.#release();
    }
  }

  async #checkpoint(): Promise<void> {
    const session = await this.connect();
    try {
      this.#hasWal = false;
      await session.connection.run(`CHECKPOINT ${this.#names.database}`);
      const [row] = await session.rows("SELECT free_blocks * block_size FROM pragma_database_size()");
      this.room.checkpointed(Number(row?.[0] ?? 0));
      this.onCheckpoint();
    } finally {
      session.close();
    }
  }
}

function claim(path: string): () => void {
  mkdirSync(dirname(path), { recursive: true });
  const real = existsSync(path) ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path));
  if (openPaths.has(real)) throw new Error(`cannot open ${path}: it is open in this process already`);
  openPaths.add(real);
  return () => openPaths.delete(real);
}

/** An empty file is an empty database; DuckDB takes it for a damaged one. */
function removeEmptyFile(path: string): void {
  if (existsSync(path) && statSync(path).size === 0 && !existsSync(`${path}.wal`)) unlinkSync(path);
}

/** Why a file couldn't be opened, for its user. */
export function explain(error: unknown): string {
  const message = messageOf(error);
  return isOpenElsewhere(error)
    ? `another process has it open; use that server's address, or stop it first (${message.split("\n")[0]})`
    : message;
}
