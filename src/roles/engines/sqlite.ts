/**
 * SQLite: the hub writes; workers read for themselves and keep answers; user-written SQL in runner
 * processes.
 */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { sqlMemoryBytes } from "../../config/memory-shares.ts";
import type { Settings } from "../../config/settings.ts";
import { logAt } from "../../observe/log.ts";
import { isFrame } from "../../protocol/frames.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { executeSql } from "../../sql/execute.ts";
import { createRunnerPool } from "../../sql/runner-pool.ts";
import { CachedReader } from "../../storage/cached-reader.ts";
import type { TransferReader } from "../../storage/contract.ts";
import { lockDatabaseFile } from "../../storage/sqlite/file-lock.ts";
import { SqliteReader } from "../../storage/sqlite/sqlite-reader.ts";
import { SqliteTransfer } from "../../storage/sqlite/sqlite-transfer.ts";
import { SqliteWriter } from "../../storage/sqlite/sqlite-writer.ts";
import { createSqliteUserSql } from "../../storage/sqlite/user-sql.ts";
import type { UserSqlEngine } from "../../storage/user-sql-contract.ts";
import type { WorkerStorage } from "../../worker/worker-storage.ts";
import type {
  DatabaseSettings,
  HubStorage,
  OpenTransferTarget,
  OpenWriter,
  WorkerStorageOptions,
} from "../engine.ts";
import { transferTarget } from "./transfer-target.ts";

const MIB = 1024 * 1024;

export { diagnoseSqlite } from "../../storage/sqlite/sqlite-diagnosis.ts";

export function openSqliteHub(settings: Settings): HubStorage {
  return { writer: openSqliteWriter(settings), database: null };
}

/**
 * Creates the file, or upgrades it, as needed.
 *
 * @throws Error another server has the file, or it can't be opened or upgraded.
 */
export function openSqliteWriter({
  dbFile,
  durability,
  updateLogMb,
  minFreeMb = null,
}: DatabaseSettings): OpenWriter {
  mkdirSync(dirname(dbFile), { recursive: true });
  const lock = lockDatabaseFile(dbFile);
  let writer: SqliteWriter;
  try {
    const updateLogBytes = updateLogMb === undefined ? null : updateLogMb * MIB;
    writer = new SqliteWriter(dbFile, durability, updateLogBytes, minFreeMb);
  } catch (error) {
    lock.release();
    throw new Error(`cannot open ${dbFile}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return {
    preparation: writer.preparation,
    epochBegun: writer.epochBegun,
    commit: (saves, progress) => writer.commit(saves, progress),
    commitColumns: (save, progress) => writer.commitColumns(save, progress),
    changedByOthers: () => writer.changedByOthers(),
    roomLack: () => writer.roomLack(),
    lost: () => writer.lost(),
    removeCheck: (ticker) => writer.removeCheck(ticker),
    findProblem: () => writer.findProblem(),
    takeNotes: () => writer.takeNotes(),
    isEmpty: () => writer.isEmpty(),
    beginEpoch: () => writer.beginEpoch(),
    tidy: () => writer.tidy(),
    async close() {
      writer.close();
      lock.release();
    },
  };
}

export function openSqliteWorker(options: WorkerStorageOptions): WorkerStorage {
  const { settings, hub, board, memory, log, runner } = options;
  const history = new SqliteReader(settings.dbFile, settings.dbPoolSize, isFrame);
  history.file.toldByOthers = () => hub.databaseLost;
  const reader = new CachedReader(history, board, () => history.file.checkForRead());
  const pool = createRunnerPool({
    ...runner,
    board: memory,
    memoryBytesMax: sqlMemoryBytes(settings),
    size: settings.dbPoolSize,
    timeoutMs: settings.sqlTimeoutS * 1000,
    maxRows: settings.sqlMaxRows,
    log: (level, message) => logAt(log, level, message),
  });
  return {
    reader,
    history,
    save: (save, request) => hub.save(save, request.length),
    // A runner opens the file by its name, which may be another's by then.
    executeSql: async (request) => {
      history.file.checkForRead();
      const answer = await executeSql(request, { pool, lease: hub });
      history.file.checkForRead();
      return answer;
    },
    removeCheck: (ticker) => hub.removeCheck(ticker),
    sqlFigures: () => pool.figures(),
    memory: () => [
      { what: "answers kept", bytes: reader.keptBytes },
      ...pool.running().map(({ sql, bytes }) => ({ what: `SQL ${sql}`, bytes })),
    ],
    shrink() {
      reader.shrink();
      pool.shrink();
    },
    async close() {
      await pool.close();
      await reader.close();
    },
  };
}

export function openSqliteUserSql({ dbFile, durability }: DatabaseSettings): UserSqlEngine {
  return createSqliteUserSql({ path: dbFile, durability });
}

export function openSqliteTransferReader(dbFile: string): TransferReader | null {
  if (!existsSync(dbFile)) return null;
  try {
    return new SqliteTransfer(dbFile);
  } catch (error) {
    throw new Error(`cannot read ${dbFile}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

export function openSqliteTransferTarget(settings: DatabaseSettings): OpenTransferTarget {
  const writer = openSqliteWriter(settings);
  const reader = new SqliteTransfer(settings.dbFile);
  return transferTarget(writer, reader, {
    preparation: writer.preparation,
    async close() {
      reader.close();
      await writer.close();
    },
  });
}
