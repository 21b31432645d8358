/**
 * What the server knows of an engine. All of its parts are loaded when they are opened, so that a
 * process loads only what it runs. The table of engines is `engines.ts`.
 */
import type { Settings } from "../config/settings.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { LogLines } from "../observe/log.ts";
import type {
  Edit,
  EditOutcome,
  ReplicaReads,
  Save,
  SaveOutcome,
  StockReader,
  StockWriter,
  TransferReader,
} from "./contract.ts";
import type { DiagnosisStep } from "./diagnosis.ts";
import type { FileImage } from "./file-image.ts";
import type { SqlPlan } from "./sql-plan.ts";
import type { Update } from "./update-contract.ts";
import type { InterruptibleSql, SqlAnswer, SqlParam, UserSqlEngine } from "./user-sql-contract.ts";

/**
 * Where the parts of an engine run. `upstream` is another server, `runner` a process of its worker
 * that can be killed.
 */
export interface Placement {
  reads: "worker" | "hub" | "upstream";
  saves: "worker" | "hub" | "upstream";
  sql: "worker" | "hub" | "upstream" | "runner";
}

/** The hub holds the database, and so waits for it. */
export function isOpenInHub({ placement }: Engine): boolean {
  return placement.reads === "hub" || placement.saves === "hub";
}

/** How a `--db-file` of the engine looks. */
interface Forms {
  /** Endings of the path, of an engine whose database is a file. */
  endings?: readonly string[];
  /** Endings of the files that the engine keeps beside it. */
  companions?: readonly string[];
  /** Schemes of its URLs, in lower case, each with the name that it stands for. */
  schemes?: Readonly<Record<string, string>>;
  /** A form without a scheme. It stands for the first name. */
  bare?: RegExp;
  /** The forms other than files in words, for errors. */
  expected?: string;
}

export interface ReservedFile {
  /** Whether still nobody has it: not all of them can be kept from it. */
  isFree(): boolean;
  release(): void;
}

export interface Engine {
  /** Each with the one for people. An engine may be known by several, such as TimescaleDB. */
  readonly names: Readonly<Record<string, string>>;
  readonly forms: Forms;
  readonly placement: Placement;
  /** Workers keep answers: no program but this server changes the database unnoticed. */
  readonly keepsAnswers: boolean;
  /** Several servers may share a database, and so meet on a bus. */
  readonly isShared?: boolean;
  /** The database can itself be the bus: `--bus postgres`. */
  readonly carriesBus?: boolean;
  /** Absent: it tells no plans of statements. */
  readonly plan?: SqlPlan;
  /** Why `doctor --new-epoch` can't begin one, and what does. */
  readonly epochElsewhere?: string;

  /** @throws UsageError The form is right, but something in it isn't. */
  check?(dbFile: string, source: string): void;
  /**
   * @returns A warning for the log, or null.
   * @throws Error The server's other settings make no sense with this database.
   */
  checkSettings?(settings: Settings): string | null;
  /** Looks at `--read-replicas`. Absent: it has none. @throws UsageError */
  checkReplicas?(settings: Pick<Settings, "dbFile" | "readReplicas">): void;

  /**
   * Opens the database to write: in the hub where that saves or reads, and for subcommands. Creates
   * or upgrades it as needed. Absent for an upstream, which does all of that itself.
   *
   * @param hub of a server; absent for a subcommand.
   * @throws Error It can't be opened, or a server has it. The process should end then.
   */
  open?(settings: DatabaseSettings, hub?: HubEvents): Promise<HeldDatabase>;
  /** What `copy` and `import` write into. @throws Error as `open`. */
  openTarget(settings: DatabaseSettings): Promise<TransferTarget>;
  /**
   * Opens the database for a copy to read. A server may have it open where the engine allows that.
   * Never creates or changes it.
   *
   * @returns Null when there is none. @throws Error with the reason why it can't be read.
   */
  openToRead(dbFile: string): Promise<TransferReader | null>;
  /**
   * Opens the bytes of the database's file, for a backup. Absent where `backupElsewhere` is told.
   * @param scratch an empty folder for what is needed until the image is closed.
   * @throws Error There is no such file, or it can't be read.
   */
  openImage?(dbFile: string, scratch: string): Promise<FileImage>;
  /**
   * Keeps servers from a file that is to be replaced, of an engine with `openImage`.
   * @returns null: one has it, or another program.
   */
  reserve?(dbFile: string): Promise<ReservedFile | null>;
  /**
   * Which tools make backups of it, and what can be seen of them.
   * @param folder where they may put what they make.
   */
  backupElsewhere?(dbFile: string, folder: string): Promise<AsyncGenerator<DiagnosisStep>>;
  /** What a worker holds of the database. */
  openWorker(options: WorkerContext): Promise<WorkerParts>;
  /** What a SQL runner process runs. */
  openRunner?(settings: DatabaseSettings): Promise<UserSqlEngine>;
  /**
   * What `doctor` says, in a process of its own that is ended when it takes too long.
   * @param replicas of an engine that has them.
   */
  diagnose(dbFile: string, replicas?: readonly string[]): Promise<AsyncGenerator<DiagnosisStep>>;
}

export type DatabaseSettings = Pick<Settings, "dbFile" | "durability"> &
  /**
   * Without `updateLogBytes` nothing is taken out of the update log: the server that opens the
   * database next does.
   */
  Partial<
    Pick<Settings, "duckdbMemoryBytes" | "duckdbThreads" | "memoryBytes" | "updateLogBytes" | "minFreeBytes">
  >;

export interface HubEvents {
  /** The database refuses everything from now on: the process must end. */
  onFatal(reason: string): void;
  log: Pick<LogLines, "error">;
}

/** A database that a subcommand writes into and reads back. */
export interface TransferTarget {
  readonly writer: Pick<StockWriter, "commit" | "edit" | "takeNotes">;
  /** What opening did to the database, for the log; null if nothing. */
  readonly preparation: string | null;
  /** The reader is to be closed before the database. */
  openTransfer(): TransferReader | Promise<TransferReader>;
  close(): void | Promise<void>;
}

export interface HeldDatabase extends TransferTarget {
  readonly writer: StockWriter & {
    /** Begins a new epoch and returns it; absent where the database has a way of its own. */
    beginEpoch?(): string | Promise<string>;
  };
  /** Why a new epoch began, for the log; null or absent where the one before goes on. */
  readonly epochBegun?: string | null;
  /** Here and below: where reads, or SQL, are placed in the process that opens the database. */
  readonly reader?: StockReader;
  readonly sql?: InterruptibleSql;
}

export interface WorkerContext {
  settings: Settings;
  /** Of this server, the same in all its workers, and of no other. */
  serverId: string;
  log: LogLines;
  /** Of several workers, the one that logs what concerns the database and not a worker. */
  isFirst: boolean;
  /** What keeps the worker from all of its work, for `/ready`. */
  conditions: Conditions;
  /** For an engine with a source of updates of its own. */
  updates: UpdateSink;
  /** What the hub has found: why the database is not there any more, else null. */
  lostInHub(): string | null;
}

/** What is placed elsewhere is absent. */
export interface WorkerParts {
  reader?: StockReader;
  /** Where saves are placed in the worker. */
  writer?: Pick<StockWriter, "commit" | "edit" | "removeCheck">;
  /** Where SQL is placed in the worker. */
  sql?: InterruptibleSql;
  upstream?: UpstreamParts;
  /** Absent: there are none. */
  replicas?(): ReplicaReads;
  /** Throws when what was opened is gone, and nothing of it may be answered any more. */
  look?(): void;
  close?(): void | Promise<void>;
}

/** The request of a save, as the client sent it. */
export interface SentRequest {
  /** The command; null: the rows came otherwise, and the save tells all. */
  text: string | null;
  /** Its rows, unpacked; null: the command has them. Of a part of them they are made when asked. */
  arrow: { readonly bytes: Uint8Array<ArrayBuffer> } | null;
}

/** What another server does for a worker. */
interface UpstreamParts {
  updates: UpdateSource;
  save(save: Save, request: SentRequest): Promise<SaveOutcome>;
  edit(edit: Edit): Promise<EditOutcome>;
  removeCheck(ticker: string): Promise<void>;
  runSql(request: UpstreamSql): Promise<SqlAnswer>;
}

export interface UpstreamSql {
  sql: string;
  params: SqlParam[];
  queryType: "select" | "raw";
  allowWrite: boolean;
  signal?: AbortSignal | undefined;
}

/** Where a worker hears of saves. */
export interface UpdateSource {
  /** Resolves when every later commit to the ticker, or to ALL_TICKERS, will be published here. */
  subscribe(ticker: string): Promise<void>;
  unsubscribe(ticker: string): void;
}

/** Where a worker's own source of updates puts them. */
export interface UpdateSink {
  /** In any order, and any number of times. */
  publish(ticker: string, update: Update): void;
  /**
   * Updates of the ticker, or of ALL_TICKERS, may have been missed: they are read from the
   * database.
   */
  missed(ticker: string): void;
}
