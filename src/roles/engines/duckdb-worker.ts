/**
 * A worker of a server on DuckDB: it asks the hub, and keeps answers for as long as the version
 * board lets it. It never loads the engine.
 */
import { hubReader } from "../../hub/hub-reader.ts";
import { runSqlInHub } from "../../hub/hub-sql.ts";
import { SqlCaution } from "../../hub/sql-caution.ts";
import { executeSqlDirectly } from "../../sql/execute.ts";
import { CachedReader } from "../../storage/cached-reader.ts";
import { DUCKDB_FORMAT } from "../../storage/duckdb/file-format.ts";
import { OpenedFile } from "../../storage/opened-file.ts";
import type { WorkerStorage } from "../../worker/worker-storage.ts";
import type { WorkerStorageOptions } from "../engine.ts";

export function openDuckDbWorker({ settings, hub, board }: WorkerStorageOptions): WorkerStorage {
  const history = hubReader(hub);
  const file = new OpenedFile(settings.dbFile, DUCKDB_FORMAT);
  const reader = new CachedReader(history, board, () => file.checkForRead());
  const caution = new SqlCaution();
  const limits = { timeoutMs: settings.sqlTimeoutMs, maxRows: settings.sqlMaxRows };
  return {
    reader,
    history,
    save: (save, request) => hub.save(save, request.length),
    executeSql: async (request) => {
      file.checkForRead();
      const answer = await executeSqlDirectly(
        request,
        (query, within) => runSqlInHub({ hub, caution }, query, within),
        limits,
      );
      file.checkForRead();
      return answer;
    },
    removeCheck: (ticker) => hub.removeCheck(ticker),
    sqlFigures: () => ({ runs_at: "hub" }),
    memory: () => [{ what: "answers kept", bytes: reader.keptBytes }],
    shrink: () => reader.shrink(),
    async close() {
      await reader.close();
    },
  };
}
