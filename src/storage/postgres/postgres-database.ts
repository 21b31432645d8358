/**
 * PostgreSQL, and what speaks its language. Every worker opens it for itself and reads and writes
 * through a pool of its own; the database, not the hub, keeps writers apart: a save takes locks on
 * its tickers for the length of its transaction. So any number of workers, of any number of
 * servers, may share a database.
 *
 * What a worker doesn't know is what others have written a moment ago: answers are never kept here,
 * and no order of saves of different workers is promised beyond that of their commits.
 */
import { parsePostgresUrl } from "../../config/postgres-url.ts";
import { redact } from "../../config/redact.ts";
import type { Durability } from "../../config/settings.ts";
import { MIB } from "../../config/units.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { TransferReader } from "../contract.ts";
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
import { findForeignParts } from "./foreign-parts.ts";
import { LogTrimmer, TRIM_PAUSE_MS } from "./log-trimmer.ts";
import { adviceOnOpening } from "./opening-advice.ts";
import { findSearchPaths, type SearchPaths } from "./own-names.ts";
import { type PoolLimits, PostgresPool } from "./pool.ts";
import { type FailureKind, failureOf, unlessRefused } from "./postgres-errors.ts";
import { PostgresReader } from "./postgres-reader.ts";
import { PostgresTransfer } from "./postgres-transfer.ts";
import { CHECK_NOW_SQL, PostgresWriter, type WriterCapabilities } from "./postgres-writer.ts";
import { accepts, requireAbilities, versionOf } from "./requirements.ts";
import { findExcessRights } from "./role-rights.ts";
import { prepareSchema } from "./schema.ts";
import { TableGuard, type TableState } from "./table-guard.ts";
import { hasAdvisoryLocks } from "./ticker-locks.ts";
import { PostgresUserSql } from "./user-sql.ts";

/**
 * How long a start waits for a database that is away or breaks off, and how often it begins again.
 */
const START_WAIT_MS = 15_000;
const START_RETRY_MS = 250;
/** What may have passed by the next try. */
const PASSING: FailureKind[] = ["lost", "away", "conflict"];
/** Between two calls of `onBlocked`, and of `onBroken`. */
const TOLD_PAUSE_MS = 60_000;
/** A copy reads one page after the other. */
const READER_POOL_SIZE = 2;
/** A setting that a pool in between didn't pass on. */
const UNSUPPORTED_PARAMETER = "08P01";

export interface PostgresSettings {
  /** Connection string; see parsePostgresUrl. */
  dbFile: string;
  durability: Durability;
  /** Most connections of this worker; at least 2. */
  dbPoolSize: number;
  /**
   * Bound of the update log, which is trimmed from here then; without it, this one leaves that to
   * others.
   */
  updateLogMb?: number;
  /** The database doesn't let the log be trimmed: called once. */
  onTrimRefused?(reason: string): void;
  /**
   * A save waited in vain for a lock that another session holds: called at most every
   * TOLD_PAUSE_MS.
   */
  onBlocked?(reason: string): void;
  /**
   * A statement of the server's own failed because of what the database is now: called at most
   * every TOLD_PAUSE_MS.
   */
  onBroken?(reason: string): void;
  /**
   * Whether the database can do all of the server's work, every few seconds; without it, nobody
   * looks. `reason` null: it can.
   */
  onState?(reason: string | null): void;
  /** The times and bounds that tests can't wait for. */
  limits?: Partial<PoolLimits>;
  startWaitMs?: number;
  trimPauseMs?: number;
  watchPauseMs?: number;
  statementTimeoutMs?: number;
  connectTimeoutMs?: number;
}

/** What the database can do, found out when it is opened. */
interface Capabilities extends WriterCapabilities {
  /** As the database writes it. */
  version: string;
  paths: SearchPaths;
  /** Whether its catalog tells what a transaction has done to the server's tables. */
  guarded: boolean;
}

export interface PostgresDatabase extends HeldDatabase, AsyncDisposable {
  readonly writer: PostgresWriter;
  readonly reader: PostgresReader;
  readonly sql: InterruptibleSql;
  capabilities: Capabilities;
  /** For the log: what others have put on the tables, and rights that the role shouldn't have. */
  warnings: string[];
  close(): Promise<void>;
}

/**
 * Connects, and makes the tables where there are none. Whatever breaks on the way is begun again.
 *
 * @throws Error it can't be reached, or breaks off again and again, for START_WAIT_MS, refuses the
 *   user, lacks what the server needs, or has tables that don't fit.
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
    const { updateLogMb = null, trimPauseMs = TRIM_PAUSE_MS, onTrimRefused = () => {} } = settings;
    const trimmer =
      updateLogMb === null
        ? null
        : new LogTrimmer(pool, {
            bytesMax: updateLogMb * MIB,
            pauseMs: trimPauseMs,
            advisoryLocks: capabilities.advisoryLocks,
            onRefused: onTrimRefused,
          });
    const { paths, guarded, ...abilities } = capabilities;
    const sql = new PostgresUserSql(pool, {
      ...abilities,
      schema: paths.schema,
      searchPath: paths.users,
      guard: guarded ? new TableGuard(paths.schema) : null,
    });
    const close = async (): Promise<void> => {
      await sql.close();
      await Promise.all([trimmer?.close(), watch?.close()]);
      await pool.close();
    };
    return {
      reader: new PostgresReader(pool),
      writer: new PostgresWriter(pool, capabilities, atMostEvery(TOLD_PAUSE_MS, settings.onBlocked)),
      sql,
      openTransfer: () => new PostgresTransfer(pool, async () => {}),
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

/** On a connection of its own, which is closed again. */
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
    // From now on, whatever is made in the schemas of users.
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

/**
 * Tables that aren't there are not made: they count as empty.
 *
 * @throws Error it can't be reached, or refuses the user.
 */
export async function openPostgresToRead(dbFile: string): Promise<TransferReader> {
  const { connection, options } = await connectForReading(dbFile).catch((error) => {
    throw new Error(`cannot read ${redact(dbFile)}: ${messageOf(error)}`, { cause: error });
  });
  await connection.close();
  const pool = new PostgresPool({ ...options, size: READER_POOL_SIZE, limits: {} });
  return new PostgresTransfer(pool, () => pool.close());
}

/** Tries once. @throws Error it can't be reached, or refuses the user. */
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

/**
 * Finds out on the way whether a pool in between swallows or refuses the settings of the session.
 */
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

/** Waiting changes nothing about a wrong password, role or database, or about TLS. */
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
  // Every value but "off" waits for the disk.
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
