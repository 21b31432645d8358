/**
 * PostgreSQL: every worker reads, saves and runs SQL through a pool of its own; the hub only passes
 * updates on.
 */
import { parsePostgresUrl } from "../../config/postgres-url.ts";
import { redact } from "../../config/redact.ts";
import type { Settings } from "../../config/settings.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { executeSqlDirectly } from "../../sql/execute.ts";
import { sqlReplyOf } from "../../sql/sql-reply.ts";
import type { TransferReader } from "../../storage/contract.ts";
import { GroupCommit } from "../../storage/group-commit.ts";
import { openPostgres, openPostgresTransfer } from "../../storage/postgres/postgres-database.ts";
import { updateOf } from "../../storage/update-contract.ts";
import type { WorkerStorage } from "../../worker/worker-storage.ts";
import type {
  DatabaseSettings,
  HubStorage,
  OpenTransferTarget,
  OpenWriter,
  WorkerStorageOptions,
} from "../engine.ts";
import { transferTarget } from "./transfer-target.ts";

export { diagnosePostgres } from "../../storage/postgres/postgres-diagnosis.ts";

/** One connection for a statement, one beside it: a writer alone needs no more. */
const WRITER_POOL_SIZE = 2;

/** @throws Error the database can't be reached, or has tables that don't fit. */
export async function openPostgresHub(settings: Settings): Promise<HubStorage> {
  const { ignored } = parsePostgresUrl(settings.dbFile);
  return {
    writer: null,
    database: null,
    ...(ignored.length > 0 ? { warning: `--db-file: without effect here: ${ignored.join(", ")}` } : {}),
    // Workers open it for themselves; the hub does so only to fill it.
    ...(settings.sample ? { sampleWriter: await openPostgresWriter(settings) } : {}),
  };
}

export async function openPostgresWriter(settings: DatabaseSettings): Promise<OpenWriter> {
  const database = await openPostgres({ ...settings, dbPoolSize: WRITER_POOL_SIZE });
  const { writer } = database;
  return {
    preparation: database.preparation,
    commit: (saves) => writer.commit(saves),
    commitColumns: (save) => writer.commitColumns(save),
    changedByOthers: () => writer.changedByOthers(),
    removeCheck: (ticker) => writer.removeCheck(ticker),
    isEmpty: () => writer.isEmpty(),
    close: () => database.close(),
  };
}

/** @throws Error it can't be reached. */
export async function openPostgresTransferReader(dbFile: string): Promise<TransferReader> {
  try {
    return await openPostgresTransfer(dbFile);
  } catch (error) {
    throw cannotOpen("read", dbFile, error);
  }
}

export async function openPostgresTransferTarget(settings: DatabaseSettings): Promise<OpenTransferTarget> {
  const { dbFile } = settings;
  const database = await openPostgres({ ...settings, dbPoolSize: WRITER_POOL_SIZE }).catch((error) => {
    throw cannotOpen("open", dbFile, error);
  });
  const { transfer, writer } = database;
  return transferTarget(writer, transfer, {
    preparation: database.preparation,
    close: () => database.close(),
  });
}

function cannotOpen(what: string, dbFile: string, error: unknown): Error {
  const reason = messageOf(error);
  return new Error(`cannot ${what} ${redact(dbFile)}: ${reason}`, { cause: error });
}

export async function openPostgresWorker({
  settings,
  hub,
  log,
  conditions,
  isFirst,
}: WorkerStorageOptions): Promise<WorkerStorage> {
  const database = await openPostgres({
    ...settings,
    onTrimRefused: (reason) => log.warning(`Database: the update log can't be trimmed: ${reason}`),
    onBroken: (reason) => log.error(`Database: a statement of the server failed: ${reason}`),
    onState(reason) {
      if (reason === null) conditions.end("database", "Database: it does all of its work again");
      else conditions.begin("database", reason);
    },
    onBlocked: (reason) => log.warning(`Database: saves are refused: ${reason}`),
  });
  if (database.preparation !== null) log.info(`Database: ${database.preparation}`);
  if (isFirst) for (const warning of database.warnings) log.warning(`Database: ${warning}`);
  const commits = new GroupCommit(database.writer);
  const limits = { timeoutMs: settings.sqlTimeoutS * 1000, maxRows: settings.sqlMaxRows };
  return {
    reader: database.reader,
    async save(save, request) {
      const outcome = await commits.save(save, request.length);
      if (outcome.ok && outcome.position !== null && save.update !== undefined) {
        hub.announce(save.ticker, updateOf(save, save.update, outcome.position));
      }
      return outcome;
    },
    executeSql: (request) =>
      executeSqlDirectly(request, async (...query) => sqlReplyOf(await database.sql.run(...query)), limits),
    removeCheck: (ticker) => database.writer.removeCheck(ticker),
    sqlFigures: () => ({ runs_at: "database" }),
    async close() {
      await commits.idle();
      await database.close();
    },
  };
}
