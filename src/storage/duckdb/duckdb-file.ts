/**
 * Opens a DuckDB file once in this process, with every setting that matters. Holds what reads,
 * saves and users' SQL share.
 */
import { existsSync, mkdirSync, realpathSync, statSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { messageOf } from "../../protocol/message-of.ts";
import { DatabaseGoneError } from "../contract.ts";
import { OpenedFile } from "../opened-file.ts";
import { DiskRoom } from "./disk-room.ts";
import { explain, isFatal } from "./errors.ts";
import { DUCKDB_FORMAT } from "./file-format.ts";
import { isHeld } from "./file-hold.ts";
import { type OwnNames, ownNames } from "./own-names.ts";
import { describeForeign } from "./own-objects.ts";
import { type CountTypes, prepareSchema, readCountTypes } from "./schema.ts";
import { Session } from "./session.ts";
import { Turns } from "./turns.ts";

/** Bounds the temporary files of queries on the database's disk, so that saves find room. */
const SPILL_MAX = "10GB";
/**
 * Keeps checkpoints from joining small row groups. Joining rewrote the whole update log: saves
 * waited 3 s, and a log larger than the memory limit ended the instance.
 */
const NO_JOINING = "0";
const BROKEN_TOLD_MS = 10_000;
/** Opening a file twice in one process would succeed and lose the writes of either instance. */
const openPaths = new Set<string>();

export interface DuckDbOptions {
  path: string;
  /** DuckDB's own memory; the process takes about 100 MB besides. */
  memoryLimitMb: number;
  /** The bound of all processes of the server, which also bounds users' statements; null: none. */
  serverMemoryBytes?: number | null | undefined;
  threads: number;
  /** Without it, the log is never trimmed. */
  updateLogBytes?: number | undefined;
  minFreeBytes?: number | null;
  /** The process has no other work, so `onFatal` may end it when a user's statement doesn't end. */
  ownProcess?: boolean | undefined;
  /** DuckDB refuses everything. The process must end: it can't safely open the file again. */
  onFatal(error: Error): void;
  /**
   * A statement of the server failed, as a table is gone. Called every `BROKEN_TOLD_MS` at most.
   */
  onBroken?(reason: string): void;
}

/**
 * DuckDB binds an expression in the third power of its depth, and heeds no interrupt meanwhile: 20
 * s at its default of 1,000, 0.3 s at this.
 */
const EXPRESSION_DEPTH_MAX = 250;

interface OpenInstance extends Pick<DuckDbOptions, "threads" | "onFatal"> {
  duckdb: DuckDBInstance;
  names: OwnNames;
  /** Links resolved. */
  path: string;
  minFreeBytes: number | null;
  release(): void;
  onBroken(reason: string): void;
}

export class DuckDbFile {
  /** Changes when a save brings a count that isn't whole, or a user alters a table. */
  countTypes: CountTypes;
  onCheckpoint: () => void = () => {};
  /** What opening did to the file, for the log; null: nothing. */
  readonly preparation: string | null;
  /** A sentence about foreign objects in the file that were in the way at the start; null: none. */
  readonly foreign: string | null;
  readonly commits = new Turns();
  foreignCommits = 0;
  /** Stops the users' transactions that a save meets; resolves after their rollback. */
  stopUserWrites: () => Promise<void> = async () => {};
  /**
   * Does the work in a turn of `commits` while no user's writing transaction is open.
   *
   * @throws StorageBusyError one doesn't end.
   */
  withoutUserWrites: (work: () => Promise<void>) => Promise<void> = (work) => work();
  /** Does the work while no user's statement runs and takes memory. */
  withoutUserSql: <T>(work: () => Promise<T>) => Promise<T> = (work) => work();
  readonly threads: number;
  readonly room: DiskRoom;
  readonly #instance: OpenInstance;
  readonly #opened: OpenedFile;
  /** A commit has written to the WAL since the last checkpoint, which removes it. */
  #hasWal = false;
  #walLost: string | null = null;
  #brokenToldAt = Number.NEGATIVE_INFINITY;
  #failed = false;
  #checkpointing = false;

  private constructor(
    instance: OpenInstance,
    found: { preparation: string | null; foreign: string | null; countTypes: CountTypes },
  ) {
    this.#instance = instance;
    this.#opened = new OpenedFile(instance.path, DUCKDB_FORMAT);
    this.threads = instance.threads;
    this.room = new DiskRoom(instance.path, instance.minFreeBytes);
    this.preparation = found.preparation;
    this.foreign = found.foreign === null ? null : `the file holds ${found.foreign}`;
    this.countTypes = found.countTypes;
  }

  /**
   * Creates or upgrades the file as needed, and replays its WAL.
   *
   * @throws Error The process should end then: a replay that failed may have damaged DuckDB's
   *   memory.
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
    let duckdb: DuckDBInstance | null = null;
    try {
      removeEmptyFile(path);
      duckdb = await DuckDBInstance.create(path, {
        threads: String(threads),
        memory_limit: `${memoryLimitMb}MB`,
        max_temp_directory_size: SPILL_MAX,
        // Users' queries can still name the database's own files: see user-sql-statement.ts.
        enable_external_access: "false",
        autoinstall_known_extensions: "false",
        autoload_known_extensions: "false",
        // `checkpointIfLong` does it where there is room: see disk-room.ts.
        wal_autocheckpoint: "1TB",
        max_vacuum_tasks: NO_JOINING,
      });
      const session = new Session(await duckdb.connect());
      const names = await ownNames(session.connection);
      await session.connection.run(names.begin);
      await session.connection.run("SET GLOBAL TimeZone = 'UTC'");
      await session.connection.run("PRAGMA disable_checkpoint_on_shutdown");
      await session.connection.run(`SET GLOBAL max_expression_depth = ${EXPRESSION_DEPTH_MAX}`);
      const preparation = await prepareSchema(session, names.schema);
      const foreign = await describeForeign(session);
      const countTypes = await readCountTypes(session);
      await session.connection.run("SET GLOBAL lock_configuration = true");
      session.close();
      return new DuckDbFile(
        { duckdb, names, path: realpathSync(path), threads, minFreeBytes, release, onFatal, onBroken },
        { preparation, foreign, countTypes },
      );
    } catch (error) {
      duckdb?.closeSync();
      release();
      throw new Error(`cannot open ${path}: ${explain(error)}`, { cause: error });
    }
  }

  /** Connects with the server's names: see own-names.ts. */
  async connect(): Promise<Session> {
    const session = await this.connectForUser();
    await this.beginOwnNames(session);
    return session;
  }

  async connectForUser(): Promise<Session> {
    return new Session(await this.#instance.duckdb.connect());
  }

  async beginOwnNames({ connection }: Session): Promise<void> {
    await connection.run(this.#instance.names.begin);
  }

  async endOwnNames({ connection }: Session): Promise<void> {
    await connection.run(this.#instance.names.end);
  }

  async refreshCountTypes(session: Session): Promise<void> {
    this.countTypes = await readCountTypes(session);
  }

  /** Why the file or its WAL is no longer the opened one; null: it is. */
  lost(): string | null {
    this.#walLost ??= this.#hasWal && !this.#checkpointing ? this.#findWalLost() : null;
    return this.#walLost ?? this.#opened.lost();
  }

  /**
   * Called after each commit.
   *
   * @throws DatabaseGoneError the commit went into a lost file.
   */
  committed(): void {
    // A commit that changes nothing, such as that of a save that is refused, makes no WAL.
    this.#hasWal ||= existsSync(this.#walPath);
    const lost = this.lost();
    if (lost !== null) throw new DatabaseGoneError(lost);
  }

  get #walPath(): string {
    return `${this.#instance.path}.wal`;
  }

  #findWalLost(): string | null {
    const wal = this.#walPath;
    if (existsSync(wal)) return null;
    return `${wal} was removed while the server had it open; restore the database from a copy, and restart the server`;
  }

  /** Only the first error tells the cause: everything fails after it. */
  reportFatal(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#instance.onFatal(error instanceof Error ? error : new Error(String(error)));
  }

  reportBroken(what: string, error: unknown): void {
    const now = performance.now();
    if (now - this.#brokenToldAt < BROKEN_TOLD_MS) return;
    this.#brokenToldAt = now;
    this.#instance.onBroken(
      `${what} failed, as the database's tables are not as they were: ${messageOf(error).split("\n")[0]}`,
    );
  }

  /** Runs a checkpoint between two commits if the WAL is long. The caller doesn't wait. */
  checkpointIfLong(): void {
    if (this.#checkpointing || this.#failed || !this.#mayCheckpoint()) return;
    this.#checkpointing = true;
    void this.commits
      .run(() => this.shortenWal())
      .finally(() => {
        this.#checkpointing = false;
      });
  }

  /** A backup that reads the file holds them up, but for those that make room on the disk. */
  #mayCheckpoint(): boolean {
    if (!this.room.wantsCheckpoint()) return false;
    return !isHeld(this.#instance.path) || this.room.lackFor([]) !== null;
  }

  /** Runs a checkpoint in the caller's turn of `commits`, if the WAL is long. */
  async shortenWal(): Promise<void> {
    try {
      if (!this.#failed && this.#mayCheckpoint()) await this.#checkpoint();
    } catch (error) {
      // A user's statement may be in its way: the next commit tries again.
      if (isFatal(error)) this.reportFatal(error);
    }
  }

  /**
   * Runs a last checkpoint if there is room and nothing is in the way. The next process to open the
   * file replays the WAL otherwise. Every session must be closed.
   *
   * @param inUse statements that don't end still hold sessions.
   */
  async close({ inUse = false }: { inUse?: boolean } = {}): Promise<void> {
    try {
      if (!inUse && this.lost() === null && this.room.takesCheckpoint()) await this.#checkpoint();
    } finally {
      this.#instance.duckdb.closeSync();
      this.#instance.release();
    }
  }

  async #checkpoint(): Promise<void> {
    const session = await this.connect();
    try {
      this.#hasWal = false;
      await session.connection.run(`CHECKPOINT ${this.#instance.names.database}`);
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

/** DuckDB takes an empty file for a damaged one. */
function removeEmptyFile(path: string): void {
  if (existsSync(path) && statSync(path).size === 0 && !existsSync(`${path}.wal`)) unlinkSync(path);
}
