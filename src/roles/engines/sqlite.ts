/** SQLite: the hub writes; workers read for themselves and keep answers; user-written SQL in runner processes. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
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
export function openSqliteWriter({ dbFile, durability, updateLogMb }: DatabaseSettings): OpenWriter {
  mkdirSync(dirname(dbFile), { recursive: true });
  const lock = lockDatabaseFile(dbFile);
  let writer: SqliteWriter;
  try {
    writer = new SqliteWriter(dbFile, durability, updateLogMb === undefined ? null : updateLogMb * MIB);
  } catch (error) {
    lock.release();
    throw new Error(`cannot open ${dbFile}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return {
    preparation: writer.preparation,
    commit: (saves) => writer.commit(saves),
    changedByOthers: () => writer.changedByOthers(),
    findProblem: () => writer.findProblem(),
    takeNotes: () => writer.takeNotes(),
    isEmpty: () => writer.isEmpty(),
    async close() {
      writer.close();
      lock.release();
    },
  };
}

export function openSqliteWorker({ settings, hub, board, log, runner }: WorkerStorageOptions): WorkerStorage {
  const history = new SqliteReader(settings.dbFile, settings.dbPoolSize, isFrame);
  const reader = new CachedReader(history, board);
  const pool = createRunnerPool({
    ...runner,
    size: settings.dbPoolSize,
    timeoutMs: settings.sqlTimeoutS * 1000,
    maxRows: settings.sqlMaxRows,
    log: (level, message) => logAt(log, level, message),
  });
  return {
    reader,
    history,
    save: (save, request) => hub.save(save, request.length),
    executeSql: (request) => executeSql(request, { pool, lease: hub }),
    sqlFigures: () => pool.figures(),
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
