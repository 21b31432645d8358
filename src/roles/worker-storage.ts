/** A worker's database, wired by where its engine places reads, saves and SQL. */
import { sqlMemoryBytes } from "../config/memory-shares.ts";
import type { Settings } from "../config/settings.ts";
import type { HubClient } from "../hub/hub-client.ts";
import { hubReader } from "../hub/hub-reader.ts";
import { runSqlInHub } from "../hub/hub-sql.ts";
import { SqlCaution } from "../hub/sql-caution.ts";
import type { VersionBoard } from "../hub/version-board.ts";
import type { MemoryBoard } from "../memory/memory-board.ts";
import type { Samples } from "../metrics/samples.ts";
import { type LogLines, logAt } from "../observe/log.ts";
import { executeSql, executeSqlDirectly } from "../sql/execute.ts";
import { createRunnerPool } from "../sql/runner-pool.ts";
import { sqlReplyOf } from "../sql/sql-reply.ts";
import { Archive } from "../storage/archive/archive.ts";
import { CachedReader } from "../storage/cached-reader.ts";
import { bytesOfSave } from "../storage/column-saves.ts";
import { withBoundedColumns } from "../storage/column-walks.ts";
import type { Save, SaveOutcome, StockReader } from "../storage/contract.ts";
import type { Placement, SentRequest, WorkerContext, WorkerParts } from "../storage/engine.ts";
import { describeDatabase } from "../storage/engines.ts";
import { GroupCommit } from "../storage/group-commit.ts";
import { updateOf } from "../storage/update-contract.ts";
import type { WorkerStorage } from "../worker/worker-storage.ts";

export interface WorkerStorageOptions extends Omit<WorkerContext, "lostInHub"> {
  hub: HubClient;
  board: VersionBoard;
  memory: MemoryBoard;
  /** argv and environment of one SQL runner. */
  runner: { command: string[]; env: Record<string, string | undefined> };
}

export async function openWorkerStorage(options: WorkerStorageOptions): Promise<WorkerStorage> {
  const { settings, hub, board } = options;
  const { engine } = describeDatabase(settings.dbFile);
  const parts = await engine.openWorker({ ...options, lostInHub: () => hub.databaseLost });
  const { look = () => {} } = parts;
  const reader = parts.reader ?? hubReader(hub);
  // Roll-ups are few and short, and don't wait for what clients read.
  const read = reader.columns.bind(reader);
  const columns: StockReader["columns"] = (query) => read({ ...query, line: "server" });
  const partsOf = reader.parts.bind(reader);
  const archive = archiveOf({ settings, reader, log: options.log, isFront: parts.upstream !== undefined });
  const history = withBoundedColumns(reader, settings.readTimeoutMs);
  const kept = engine.keepsAnswers ? new CachedReader(history, board, look) : null;
  const saves = SAVES[engine.placement.saves](parts, hub);
  const sql = SQL[engine.placement.sql](parts, options);
  return {
    reader: kept ?? history,
    history,
    updates: parts.upstream?.updates ?? null,
    save: saves.save,
    saveTogether: saves.saveTogether ?? null,
    savesInOrder: engine.placement.saves !== "upstream",
    edit: saves.edit,
    removeCheck: saves.removeCheck,
    archive,
    rollups:
      parts.upstream === undefined ? { columns, parts: partsOf, isShared: engine.isShared === true } : null,
    // A runner opens the file by its name, which may be another's by then.
    async executeSql(request) {
      look();
      const answer = await sql.execute(request);
      look();
      return answer;
    },
    plan: engine.plan ?? null,
    sqlFigures: sql.figures,
    commitSamples: () => saves.samples?.() ?? {},
    replicas: () => parts.replicas?.() ?? null,
    hasPoolInHub: engine.placement.reads === "hub",
    memory: () => [
      ...(kept === null ? [] : [{ what: "answers kept", bytes: kept.keptBytes }]),
      ...(sql.memory?.() ?? []),
    ],
    shrink() {
      kept?.shrink();
      sql.shrink?.();
    },
    async close() {
      await sql.close?.();
      await archive?.close();
      await saves.idle?.();
      await parts.close?.();
    },
  };
}

interface ArchiveUse {
  settings: Pick<Settings, "archive">;
  reader: StockReader;
  log: Pick<LogLines, "warning">;
  /** Another server has the database. */
  isFront: boolean;
}

/** Its rows become part of what the reader gives as columns, and of what it knows of tickers. */
function archiveOf({ settings: { archive: folder }, reader, log, isFront }: ArchiveUse): Archive | null {
  if (folder === null) return null;
  if (isFront) {
    log.warning("--archive: a server in front of another reads none");
    return null;
  }
  const archive = new Archive(folder, (...of) => reader.notes(...of));
  const [columns, parts, tickers] = [
    reader.columns.bind(reader),
    reader.parts.bind(reader),
    reader.tickers.bind(reader),
  ];
  reader.columns = (query) => archive.columns(query, columns);
  reader.parts = (kind, ticker) => archive.parts(kind, ticker, parts);
  reader.tickers = (kind, after, limit) => archive.tickers(kind, { after, limit }, tickers);
  return archive;
}

interface Saves extends Pick<WorkerStorage, "save" | "edit" | "removeCheck"> {
  saveTogether?(saves: readonly Save[]): Promise<SaveOutcome>[];
  /** Resolves when everything accepted is committed or refused. */
  idle?(): Promise<void>;
  samples?(): Samples;
}

const SAVES: Record<Placement["saves"], (parts: WorkerParts, hub: HubClient) => Saves> = {
  hub: (_, hub) => ({
    save: (save, request) => hub.save(save, sizeOf(save, request)),
    saveTogether: (saves) => hub.saveTogether(saves, bytesOf(saves)),
    edit: (edit) => hub.edit(edit),
    removeCheck: (ticker) => hub.removeCheck(ticker),
  }),
  upstream: ({ upstream }) => upstream!,
  worker({ writer }, hub) {
    const commits = new GroupCommit(writer!);
    const announced = async (save: Save, committed: Promise<SaveOutcome>): Promise<SaveOutcome> => {
      const outcome = await committed;
      const update = outcome.ok ? updateOf(save, outcome) : null;
      if (update !== null) hub.announce(save.ticker, update);
      return outcome;
    };
    return {
      save: async (save, request) => announced(save, commits.save(save, sizeOf(save, request))),
      saveTogether: (saves) =>
        commits
          .saveTogether(saves, bytesOf(saves))
          .map((outcome, index) => announced(saves[index]!, outcome)),
      async edit(edit) {
        const outcome = await commits.edit(edit);
        if (outcome.ok) for (const { ticker, update } of outcome.updates) hub.announce(ticker, update);
        return outcome;
      },
      removeCheck: async (ticker) => writer!.removeCheck(ticker),
      idle: () => commits.idle(),
      samples: () => commits.samples(),
    };
  },
};

/** Rows of an Arrow body have another size once they are read. */
function sizeOf(save: Save, { text, arrow }: SentRequest): number {
  return bytesOfSave(save, arrow === null ? text : null);
}

/** Of rows that came as no text of their own. */
function bytesOf(saves: readonly Save[]): number {
  return saves.reduce((sum, save) => sum + bytesOfSave(save, null), 0);
}

interface Sql extends Partial<Pick<WorkerStorage, "memory" | "shrink" | "close">> {
  execute: WorkerStorage["executeSql"];
  figures: WorkerStorage["sqlFigures"];
}

const SQL: Record<Placement["sql"], (parts: WorkerParts, options: WorkerStorageOptions) => Sql> = {
  hub(_, { settings, hub }) {
    const caution = new SqlCaution();
    return directly((...query) => runSqlInHub({ hub, caution }, ...query), settings, "hub");
  },
  worker: ({ sql }, { settings }) =>
    directly(async (...query) => sqlReplyOf(await sql!.run(...query)), settings, "database"),
  upstream: ({ upstream }) => ({
    execute: (request) => upstream!.runSql(request),
    figures: () => ({ runs_at: "upstream" }),
  }),
  runner(_, { settings, hub, memory, log, runner }) {
    const pool = createRunnerPool({
      ...runner,
      board: memory,
      memoryBytesMax: sqlMemoryBytes(settings),
      size: settings.dbPoolSize,
      timeoutMs: settings.sqlTimeoutMs,
      maxRows: settings.sqlMaxRows,
      log: (level, message) => logAt(log, level, message),
    });
    return {
      execute: (request) => executeSql(request, { pool, lease: hub }),
      figures: () => pool.figures(),
      memory: () => pool.running().map(({ sql, bytes }) => ({ what: `SQL ${sql}`, bytes })),
      shrink: () => pool.shrink(),
      close: () => pool.close(),
    };
  },
};

function directly(
  run: Parameters<typeof executeSqlDirectly>[1],
  { sqlTimeoutMs, sqlMaxRows }: WorkerStorageOptions["settings"],
  runsAt: string,
): Sql {
  const limits = { timeoutMs: sqlTimeoutMs, maxRows: sqlMaxRows };
  return {
    execute: (request) => executeSqlDirectly(request, run, limits),
    figures: () => ({ runs_at: runsAt }),
  };
}
