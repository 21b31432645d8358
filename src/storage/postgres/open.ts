/**
 * PostgreSQL and databases that speak its language. Every worker reads and writes through its own
 * pool, and locks in the database keep writers of any server apart. Read DESIGN.md first.
 */
import { parsePostgresUrl } from "../../config/postgres-url.ts";
import { redact } from "../../config/redact.ts";
import type { Durability } from "../../config/settings.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { ReplicaReads, TransferReader } from "../contract.ts";
import type { HeldDatabase } from "../engine.ts";
import type { InterruptibleSql } from "../user-sql-contract.ts";
import {
  CONNECT_TIMEOUT_MS,
  type ConnectionOptions,
  PostgresConnection,
  STATEMENT_TIMEOUT_MS,
} from "./connection.ts";
import { wholeNumberColumns } from "./counts.ts";
import { DatabaseWatch, WATCH_PAUSE_MS } from "./database-watch.ts";
import { type FailureKind, failureOf, unlessRefused } from "./errors.ts";
import { findForeignParts } from "./foreign-parts.ts";
import { LogTrimmer, TRIM_PAUSE_MS } from "./log-trimmer.ts";
import { adviceOnOpening } from "./opening-advice.ts";
import { findSearchPaths, type SearchPaths } from "./own-names.ts";
import { type PoolLimits, PostgresPool } from "./pool.ts";
import { PostgresReader } from "./reader.ts";
import { Replicas, type ReplicasOptions } from "./replicas.ts";
import { accepts, requireAbilities, versionOf } from "./requirements.ts";
import { findExcessRights } from "./role-rights.ts";
import { prepareSchema } from "./schema.ts";
import { TableGuard, type TableState } from "./table-guard.ts";
import { hasAdvisoryLocks } from "./ticker-locks.ts";
import { PostgresTransfer } from "./transfer.ts";
import { PostgresUserSql } from "./user-sql.ts";
import { CHECK_NOW_SQL, PostgresWriter, type WriterCapabilities } from "./writer.ts";

/** How long a start waits for a database that is away, and the pause between tries. */
const START_WAIT_MS = 15_000;
const START_RETRY_MS = 250;
/** These may have passed by the next try. */
const PASSING: FailureKind[] = ["lost", "away", "conflict"];
/** Pause between two calls of `onBlocked`, and of `onBroken`. */
const TOLD_PAUSE_MS = 60_000;
/** A copy reads one page after the other. */
const READER_POOL_SIZE = 2;
/** The code when a pool in between refuses a setting. */
const UNSUPPORTED_PARAMETER = "08P01";

export interface PostgresSettings {
  dbFile: string;
  durability: Durability;
  /** At least 2. */
  dbPoolSize: number;
  /** Each answers large reads while it is at most so far behind; see `ReplicasOptions`. */
  replicas?: Pick<ReplicasOptions, "urls" | "maxLagMs" | "onState">;
  /** This process trims the update log to it; without it, another one does. */
  updateLogBytes?: number;
  /** Called once, if the database refuses to trim the log. */
  onTrimRefused?(reason: string): void;
  /** Another session held a lock for too long; called at most every TOLD_PAUSE_MS. */
  onBlocked?(reason: string): void;
  /** The database's state failed a statement of the server; called at most every TOLD_PAUSE_MS. */
  onBroken?(reason: string): void;
  /** Called every few seconds; `reason` null: the database does all of the server's work. */
  onState?(reason: string | null): void;
  /** For tests. */
  limits?: Partial<PoolLimits>;
  startWaitMs?: number;
  trimPauseMs?: number;
  watchPauseMs?: number;
  statementTimeoutMs?: number;
  connectTimeoutMs?: number;
}

interface Capabilities extends WriterCapabilities {
  /** The text of version(). */
  version: string;
  paths: SearchPaths;
  /** The catalog tells what a transaction has done to the server's tables. */
  guarded: boolean;
}

export interface PostgresDatabase extends HeldDatabase, AsyncDisposable {
  readonly writer: PostgresWriter;
  readonly reader: PostgresReader;
  readonly sql: InterruptibleSql;
  openTransfer(): PostgresTransfer;
  /** Absent: there are none. */
  replicas?(): ReplicaReads;
  capabilities: Capabilities;
  /** For the log: foreign parts of the tables, and excess rights of the role. */
  warnings: string[];
  close(): Promise<void>;
}

/**
 * Connects, and makes missing tables. A failure that may pass is tried again for START_WAIT_MS.
 * @throws Error the database is away, refuses the user, lacks what the server needs, or has tables
 *   that don't fit.
 */
export async function openPostgres(settings: PostgresSettings): Promise<PostgresDatabase> {
  const target = parsePostgresUrl(settings.dbFile);
  const { durability, dbPoolSize, limits = {} } = settings;
  const {
    startWaitMs = START_WAIT_MS,
    statementTimeoutMs = STATEMENT_TIMEOUT_MS,
    connectTimeoutMs = target.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
  } = settings;
  const wanted = { target, durability, statementTimeoutMs, connectTimeoutMs, pooled: target.pooled };
  try {
    const { options, capabilities, preparation, warnings } = await whenReachable(startWaitMs, () =>
      prepare(wanted),
    );
    const tellBroken = atMostEvery(TOLD_PAUSE_MS, settings.onBroken);
    const pool: PostgresPool = new PostgresPool({
      ...options,
      size: dbPoolSize,
      limits,
      onBroken: (reason) => {
        tellBroken(reason);
        watch?.noteFailure(reason);
      },
    });
    const watch = watchOf(pool, settings);
    await watch?.start();
    const { updateLogBytes = null, trimPauseMs = TRIM_PAUSE_MS, onTrimRefused = () => {} } = settings;
    const trimmer =
      updateLogBytes === null
        ? null
        : new LogTrimmer(pool, {
            bytesMax: updateLogBytes,
            pauseMs: trimPauseMs,
            advisoryLocks: capabilities.advisoryLocks,
            onRefused: onTrimRefused,
          });
    const { paths, guarded, ...abilities } = capabilities;
    const replicas = settings.replicas?.urls.length
      ? new Replicas(pool, {
          ...settings.replicas,
          ...{ options: { searchPath: paths.own, statementTimeoutMs }, size: dbPoolSize, limits },
          isAsync: durability === "normal",
          connect: connectForReading,
        })
      : null;
    const sql = new PostgresUserSql(pool, {
      ...abilities,
      replicas,
      schema: paths.schema,
      searchPath: paths.users,
      guard: guarded ? new TableGuard(paths.schema) : null,
    });
    const close = async (): Promise<void> => {
      await sql.close();
      await Promise.all([trimmer?.close(), watch?.close(), replicas?.close()]);
      await pool.close();
    };
    return {
      reader: new PostgresReader(pool, replicas),
      writer: new PostgresWriter(pool, capabilities, atMostEvery(TOLD_PAUSE_MS, settings.onBlocked)),
      sql,
      openTransfer: () => new PostgresTransfer(pool, async () => {}),
      ...(replicas === null ? {} : { replicas: () => replicas.figures() }),
      capabilities,
      preparation,
      warnings,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    const told = await adviceOnOpening(error, settings.dbFile);
    const reason = told === null ? messageOf(error) : `${told.finding}; ${told.advice}`;
    throw new Error(`cannot open ${redact(settings.dbFile)}: ${reason}`, { cause: error });
  }
}

function watchOf(
  pool: PostgresPool,
  { onState, watchPauseMs = WATCH_PAUSE_MS }: PostgresSettings,
): DatabaseWatch | null {
  if (onState === undefined) return null;
  return new DatabaseWatch(pool, {
    pauseMs: watchPauseMs,
    onProblem: onState,
    onSound: () => onState(null),
  });
}

async function prepare(wanted: ConnectionOptions): Promise<{
  options: ConnectionOptions;
  capabilities: Capabilities;
  preparation: string | null;
  warnings: string[];
}> {
  const { connection, options } = await connectFirst(wanted);
  try {
    if (options.target.writable) await requireWritable(connection);
    const advisoryLocks = await hasAdvisoryLocks(connection);
    const preparation = await prepareSchema(connection, { advisoryLocks });
    const capabilities = await detect(connection, options, advisoryLocks);
    // The path is fixed now, whatever users make in their schemas later.
    return {
      options: { ...options, searchPath: capabilities.paths.own },
      preparation,
      capabilities,
      warnings: await findWarnings(connection, capabilities.paths.schema),
    };
  } finally {
    await connection.close();
  }
}

async function findWarnings(connection: PostgresConnection, schema: string): Promise<string[]> {
  const found = [await findForeignParts(connection, schema), await findExcessRights(connection, schema)];
  return found.flatMap((warning) => (warning === null ? [] : [`${warning.finding}; ${warning.advice}`]));
}

async function requireWritable(connection: PostgresConnection): Promise<void> {
  const [row] = await connection.run<{ readonly: string }>(
    "SELECT current_setting('transaction_read_only') AS readonly",
  );
  if (row?.readonly === "on")
    throw new Error("target_session_attrs asks for a database that takes writes, and this one takes none");
}

/** Missing tables count as empty. @throws Error the database is away, or refuses the user. */
export async function openPostgresToRead(dbFile: string): Promise<TransferReader> {
  const { connection, options } = await connectForReading(dbFile).catch((error) => {
    throw new Error(`cannot read ${redact(dbFile)}: ${messageOf(error)}`, { cause: error });
  });
  await connection.close();
  const pool = new PostgresPool({ ...options, size: READER_POOL_SIZE, limits: {} });
  return new PostgresTransfer(pool, () => pool.close());
}

/** Tries once. @throws Error the database is away, or refuses the user. */
export function connectForReading(
  dbFile: string,
): Promise<{ connection: PostgresConnection; options: ConnectionOptions }> {
  const target = parsePostgresUrl(dbFile);
  return connectFirst({
    target,
    durability: "full",
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    connectTimeoutMs: target.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    pooled: target.pooled,
  });
}

async function whenReachable<T>(waitMs: number, open: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      const failure = failureOf(error);
      const mayCome = failure !== null && PASSING.includes(failure.kind) && !isRefusal(failure.code);
      if (!mayCome || performance.now() > deadline) throw error;
      await Bun.sleep(START_RETRY_MS);
    }
  }
}

/** Finds out whether a pool in between drops or refuses the settings of the session. */
async function connectFirst(
  options: ConnectionOptions,
): Promise<{ connection: PostgresConnection; options: ConnectionOptions }> {
  const connection = await PostgresConnection.open(options).catch((error: unknown) => {
    if (options.pooled || !isSettingRefused(error)) throw error;
    return null;
  });
  if (connection !== null) {
    let isRight = false;
    try {
      await requireAbilities(connection);
      isRight = options.pooled;
      isRight ||= await settingsArrived(connection, options);
      if (isRight) return { connection, options };
    } finally {
      if (!isRight) await connection.close();
    }
  }
  return await connectFirst({ ...options, pooled: true });
}

function isSettingRefused(error: unknown): boolean {
  const failure = failureOf(error);
  return failure?.code === UNSUPPORTED_PARAMETER && /parameter/i.test(failure.message);
}

/** Waiting doesn't help with a wrong password, role or database, or with TLS. */
function isRefusal(code: string): boolean {
  return code.startsWith("28") || code === "3D000" || code.includes("TLS");
}

async function settingsArrived(
  connection: PostgresConnection,
  { statementTimeoutMs }: ConnectionOptions,
): Promise<boolean> {
  const [row] = await connection.run<{ ms: string }>(
    "SELECT setting AS ms FROM pg_settings WHERE name = 'statement_timeout'",
  );
  return Number(row?.ms) === statementTimeoutMs;
}

async function detect(
  connection: PostgresConnection,
  { durability, pooled, statementTimeoutMs }: ConnectionOptions,
  advisoryLocks: boolean,
): Promise<Capabilities> {
  const [row] = await connection.run<{ sync: string | null; lock: string | null }>(
    "SELECT current_setting('synchronous_commit', true) AS sync, current_setting('lock_timeout', true) AS lock",
  );
  // Every other value waits for the disk.
  const isSync = row?.sync !== "off";
  const wantsSync = durability === "full";
  const paths = await findSearchPaths(connection);
  const look: Promise<TableState | null> = new TableGuard(paths.schema).look(connection, {});
  return {
    paths,
    guarded: (await unlessRefused(look, null)) !== null,
    version: await versionOf(connection),
    advisoryLocks,
    deferrable: await accepts(connection, CHECK_NOW_SQL),
    pooled,
    synchronousCommit: isSync === wantsSync ? null : wantsSync ? "on" : "off",
    statementTimeoutMs,
    lockTimeout: (row?.lock ?? null) !== null,
    wholeNumbers: await wholeNumberColumns(connection),
  };
}

function atMostEvery(pauseMs: number, tell: (reason: string) => void = () => {}): (reason: string) => void {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return (reason) => {
    if (performance.now() - toldAtMs < pauseMs) return;
    toldAtMs = performance.now();
    tell(reason);
  };
}
