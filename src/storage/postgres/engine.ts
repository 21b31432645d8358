/**
 * PostgreSQL: every worker reads, saves and runs SQL through a pool of its own; the hub only passes
 * updates on.
 */
import { parsePostgresUrl } from "../../config/postgres-url.ts";
import { FIVE_PARTS, redact } from "../../config/redact.ts";
import type { Settings } from "../../config/settings.ts";
import { quoted, UsageError } from "../../config/usage-error.ts";
import type { DatabaseSettings, Engine, WorkerContext, WorkerParts } from "../engine.ts";
import { POSTGRES_PLAN } from "./plan.ts";

/** One connection for a statement, one beside it: a writer alone needs no more. */
const WRITER_POOL_SIZE = 2;

export const POSTGRES: Engine = {
  names: { postgresql: "PostgreSQL", timescaledb: "TimescaleDB" },
  forms: {
    schemes: { "postgresql:": "postgresql", "postgres:": "postgresql", "timescaledb:": "timescaledb" },
    bare: FIVE_PARTS,
    expected: "a URL such as postgresql://user:password@host:5432/database",
  },
  placement: { reads: "worker", saves: "worker", sql: "worker" },
  plan: POSTGRES_PLAN,
  keepsAnswers: false,
  isShared: true,
  carriesBus: true,
  epochElsewhere: 'on PostgreSQL one statement does it: see docs/postgresql.md, "Update log"',
  check(dbFile, source) {
    parsePostgresUrl(dbFile, { source });
  },
  checkSettings({ dbFile }) {
    const { ignored } = parsePostgresUrl(dbFile);
    return ignored.length === 0 ? null : `--db-file: without effect here: ${ignored.join(", ")}`;
  },
  checkReplicas,
  open,
  openTarget: open,
  openToRead: async (dbFile) => (await import("./open.ts")).openPostgresToRead(dbFile),
  backupElsewhere: async (dbFile, folder) =>
    (await import("./backup-evidence.ts")).findBackups(dbFile, folder),
  openWorker,
  diagnose: async (dbFile, replicas) => (await import("./diagnosis.ts")).diagnosePostgres(dbFile, replicas),
};

async function open(settings: DatabaseSettings) {
  const { openPostgres } = await import("./open.ts");
  return openPostgres({ ...settings, dbPoolSize: WRITER_POOL_SIZE });
}

/** @throws UsageError */
function checkReplicas({ dbFile, readReplicas }: Pick<Settings, "dbFile" | "readReplicas">): void {
  const { database } = parsePostgresUrl(dbFile);
  for (const url of readReplicas) {
    const source = "--read-replicas";
    const replica = parsePostgresUrl(url, { source });
    if (replica.hosts.length > 1)
      throw new UsageError(`${source}: expected one host in each URL, got ${quoted(redact(url))}`);
    if (replica.database !== database)
      throw new UsageError(
        `${source}: expected the database of --db-file, ${quoted(database)}, got ${quoted(replica.database)}`,
      );
  }
}

async function openWorker({ settings, log, conditions, isFirst }: WorkerContext): Promise<WorkerParts> {
  const { openPostgres } = await import("./open.ts");
  const database = await openPostgres({
    ...settings,
    replicas: {
      urls: settings.readReplicas,
      maxLagMs: settings.replicaMaxLagMs,
      onState(name, reason) {
        // Each worker sees the same, but for moments.
        if (!isFirst) return;
        if (reason === null) log.info(`Replica ${name}: large reads go to it`);
        else log.warning(`Replica ${name}: it is left out: ${reason}`);
      },
    },
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
  return database;
}
