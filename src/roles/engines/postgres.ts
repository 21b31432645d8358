/** PostgreSQL: every worker reads, saves and runs SQL through a pool of its own; the hub only passes updates on. */
import type { Settings } from "../../config/settings.ts";
import { executeSqlDirectly } from "../../sql/execute.ts";
import { sqlReplyOf } from "../../sql/sql-reply.ts";
import { GroupCommit } from "../../storage/group-commit.ts";
import { openPostgres } from "../../storage/postgres/postgres-database.ts";
import type { WorkerStorage } from "../../worker/worker-storage.ts";
import type { DatabaseSettings, HubStorage, OpenWriter, WorkerStorageOptions } from "../engine.ts";

/** One connection for a statement, one beside it: a writer alone needs no more. */
const WRITER_POOL_SIZE = 2;

/** @throws Error the database can't be reached, or has tables that don't fit. */
export async function openPostgresHub(settings: Settings): Promise<HubStorage> {
  return {
    writer: null,
    database: null,
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
    changedByOthers: () => writer.changedByOthers(),
    isEmpty: () => writer.isEmpty(),
    close: () => database.close(),
  };
}

export async function openPostgresWorker({
  settings,
  hub,
  log,
}: WorkerStorageOptions): Promise<WorkerStorage> {
  const database = await openPostgres(settings);
  if (database.preparation !== null) log.info(`Database: ${database.preparation}`);
  const commits = new GroupCommit(database.writer);
  const limits = { timeoutMs: settings.sqlTimeoutS * 1000, maxRows: settings.sqlMaxRows };
  return {
    reader: database.reader,
    async save(save, frame, request) {
      const outcome = await commits.save(save, request.length);
      if (outcome.ok) await hub.announce(save.ticker, frame);
      return outcome;
    },
    executeSql: (request) =>
      executeSqlDirectly(request, async (...query) => sqlReplyOf(await database.sql.run(...query)), limits),
    sqlFigures: () => ({ runs_at: "database" }),
    async close() {
      await commits.idle();
      await database.close();
    },
  };
}
