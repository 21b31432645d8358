/** The checks of `doctor` on a PostgreSQL database. They create nothing. */

import { messageOf } from "../../protocol/message-of.ts";
import { type DiagnosisStep, type Finding, fail, ok, warning } from "../diagnosis.ts";
import { formatBytes } from "../format-bytes.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { failureOf } from "./errors.ts";
import { findForeignParts } from "./foreign-parts.ts";
import { connectForReading } from "./open.ts";
import { adviceOnOpening } from "./opening-advice.ts";
import { findSearchPaths } from "./own-names.ts";
import { databaseSize, SIZE_SQL } from "./reader.ts";
import { diagnoseReplica } from "./replica-diagnosis.ts";
import { replicaName } from "./replicas.ts";
import { UnsuitableDatabaseError } from "./requirements.ts";
import { findExcessRights, LACKING_RIGHTS_SQL } from "./role-rights.ts";
import { columnsLacking, OWN_SCHEMA, SCHEMA_VERSION, SchemaError, storedVersion } from "./schema.ts";
import { findTableProblems } from "./table-check.ts";
import { TABLES as DEFINITIONS } from "./table-definitions.ts";
import { hasAdvisoryLocks } from "./ticker-locks.ts";

/** Every request feels a longer round trip. */
const ROUND_TRIP_LONG_MS = 20;
const ROUND_TRIPS = 3;
/** Two workers with default pools may take so many. */
const FREE_CONNECTIONS_LOW = 20;
const TABLES = DEFINITIONS.map(({ name }) => name);

type Facts = {
  version: string;
  standby: boolean;
  readonly: boolean;
  role: string;
  schema: string | null;
  creates: boolean;
  /** Null: the database has no such setting. */
  fsync: string | null;
  synced: string | null;
};

export async function* diagnosePostgres(
  dbFile: string,
  replicas: readonly string[] = [],
): AsyncGenerator<DiagnosisStep> {
  yield { begin: "connection", optional: false };
  let opened: Awaited<ReturnType<typeof connectForReading>>;
  try {
    opened = await connectForReading(dbFile);
  } catch (error) {
    yield await cannotConnect(error, dbFile);
    return;
  }
  const { connection, options } = opened;
  try {
    yield await diagnoseConnection(connection, options.pooled);
    const { ignored } = options.target;
    if (ignored.length > 0) {
      const finding = `without effect here: ${ignored.join(", ")}`;
      yield warning("parameters", finding, "leave them out of the URL");
    }
    yield { begin: "engine", optional: false };
    const [facts] = await connection.run<Facts>(
      `SELECT version() AS version, pg_is_in_recovery() AS standby,
         current_setting('default_transaction_read_only') = 'on' AS readonly, current_user::text AS role, current_schema()::text AS schema,
         coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates,
         current_setting('fsync', true) AS fsync, current_setting('full_page_writes', true) AS synced`,
    );
    yield* describe(facts!, await databaseSize(connection.run<{ bytes: string }>(SIZE_SQL)));
    yield { begin: "schema", optional: false };
    yield* diagnoseSchema(connection, facts!);
    yield { begin: "role", optional: true };
    yield await diagnoseRole(connection, facts!);
    yield { begin: "locks", optional: true };
    yield await diagnoseLocks(connection);
    yield { begin: "connections", optional: true };
    yield await diagnoseFreeConnections(connection);
    for (const url of replicas) {
      yield { begin: `replica ${replicaName(url)}`, optional: false };
      yield* diagnoseReplica(url, connection);
    }
  } catch (error) {
    if (failureOf(error) === null) throw error;
    const told = await adviceOnOpening(error, dbFile);
    yield fail("questions", describeError(error), told!.advice);
  } finally {
    await connection.close();
  }
}

async function cannotConnect(error: unknown, dbFile: string): Promise<Finding> {
  const subject = error instanceof UnsuitableDatabaseError ? "engine" : "connection";
  const told = await adviceOnOpening(error, dbFile);
  if (told === null) return fail(subject, describeError(error), "look at the parameters of the URL");
  return fail(subject, told.finding, told.advice);
}

function describeError(error: unknown): string {
  const failure = failureOf(error);
  if (failure !== null) return `${failure.message} (${failure.code})`;
  return messageOf(error);
}

async function diagnoseConnection(connection: PostgresConnection, pooled: boolean): Promise<Finding> {
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const beganMs = performance.now();
    await connection.run("SELECT 1 AS one");
    fastestMs = Math.min(fastestMs, performance.now() - beganMs);
  }
  const between = pooled ? ", through a connection pool that keeps no settings" : "";
  const finding = `answers in ${fastestMs.toFixed(1)} ms${between}`;
  if (fastestMs < ROUND_TRIP_LONG_MS) return ok("connection", finding);
  return warning("connection", finding, "run the server nearer to the database");
}

function* describe(facts: Facts, sizeBytes: number | null): Generator<Finding> {
  const size = sizeBytes === null ? "" : `, ${formatBytes(sizeBytes)}`;
  yield ok("engine", `${facts.version.split(" on ")[0]!}${size}`);
  yield describeWrites(facts);
  const finding = `fsync ${facts.fsync}, full_page_writes ${facts.synced}`;
  if (facts.fsync === "off" || facts.synced === "off")
    yield warning("durability", finding, "turn them on: else a crash of that machine damages the database");
  else if (facts.fsync === "on" && facts.synced === "on") yield ok("durability", finding);
}

function describeWrites({ standby, readonly }: Facts): Finding {
  const effect = "reads are answered, saves are refused";
  if (standby)
    return warning(
      "writable",
      `it is a standby, which takes no writes: ${effect}`,
      "name the primary, where saves are wanted",
    );
  if (readonly)
    return warning(
      "writable",
      `its transactions are read-only: ${effect}`,
      "unset default_transaction_read_only, where saves are wanted",
    );
  return ok("writable", "it takes writes");
}

async function* diagnoseSchema(connection: PostgresConnection, facts: Facts): AsyncGenerator<Finding> {
  let version: number;
  try {
    version = await storedVersion(connection);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    const finding = error.message.replace("open database: ", "");
    yield fail("schema", finding, `serve it with the newer server, or ${OWN_SCHEMA}`);
    return;
  }
  const problems = await findTableProblems(
    connection,
    version === SCHEMA_VERSION ? "made" : "before",
    columnsLacking(version),
  );
  for (const { problem, advice } of problems) yield fail("schema", problem, `${advice}; or ${OWN_SCHEMA}`);
  if (problems.length > 0) return;
  if (version === SCHEMA_VERSION) {
    yield ok("schema", `version ${SCHEMA_VERSION}, the one of this server`);
    yield await diagnoseRights(connection);
    const parts = await findForeignParts(connection, (await findSearchPaths(connection)).schema);
    if (parts !== null) yield warning("schema", parts.finding, parts.advice);
    return;
  }
  const { role, schema, creates } = facts;
  if (creates) yield await describeTables(connection, schema, version);
  else if (schema === null)
    yield fail(
      "schema",
      "no schema of the search_path is there",
      "CREATE SCHEMA it, or name another with ?search_path=",
    );
  else
    yield fail(
      "schema",
      `no right to create tables in ${schema}`,
      `GRANT CREATE, USAGE ON SCHEMA ${schema} TO ${role}`,
    );
}

async function describeTables(
  connection: PostgresConnection,
  schema: string | null,
  version: number,
): Promise<Finding> {
  if (version > 0)
    return ok("schema", `version ${version}; the server upgrades it to ${SCHEMA_VERSION} when it starts`);
  const rows = await connection.run<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1",
  );
  const others = rows.map((row) => row.name).filter((name) => TABLES.includes(name));
  if (others.length === 0)
    return ok("schema", `no tables yet in ${schema}; the server creates them when it starts`);
  return warning(
    "schema",
    `${others.join(", ")} made by another program, with the columns and keys that the server needs; it makes the rest when it starts`,
    `if the server shall not write into them, ${OWN_SCHEMA}`,
  );
}

async function diagnoseRights(connection: PostgresConnection): Promise<Finding> {
  const sql = `SELECT ${LACKING_RIGHTS_SQL} AS lacking`;
  const [row] = await connection.run<{ lacking: string | null }>(sql, [textArray(TABLES)]);
  const lacking = row?.lacking ?? null;
  if (lacking === null) return ok("rights", "every table can be read and written");
  return fail(
    "rights",
    `rights are missing on ${lacking}`,
    "GRANT SELECT, INSERT, UPDATE, DELETE on them to the server's role",
  );
}

async function diagnoseRole(connection: PostgresConnection, { schema, role }: Facts): Promise<Finding> {
  const rights = await findExcessRights(connection, schema);
  if (rights !== null) return warning("role", rights.finding, rights.advice);
  return ok("role", `${role} has no rights beyond the database's objects`);
}

async function diagnoseLocks(connection: PostgresConnection): Promise<Finding> {
  if (await hasAdvisoryLocks(connection))
    return ok("locks", "advisory locks keep writers of one ticker apart");
  return warning(
    "locks",
    "no advisory locks: of writers of one ticker that meet, all but one begin again",
    "switch them on where the database has them; else let each ticker be saved by one client",
  );
}

async function diagnoseFreeConnections(connection: PostgresConnection): Promise<Finding> {
  const [row] = await connection.run<{ max: string; used: string }>(
    `SELECT (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)::text AS max,
       (SELECT pg_catalog.count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::text AS used`,
  );
  const [max, used] = [Number(row?.max), Number(row?.used)];
  const finding = `${used} of ${max} in use`;
  if (max - used >= FREE_CONNECTIONS_LOW) return ok("connections", finding);
  return warning(
    "connections",
    finding,
    "each worker takes up to --db-pool-size: raise max_connections, or lower --workers or the pool size",
  );
}
