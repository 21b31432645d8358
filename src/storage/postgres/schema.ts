/**
 * Makes the tables on the first start. If several servers start at once, one makes them and the
 * others wait.
 */
import { randomUUID } from "node:crypto";
import { FORGET_COARSE_AVERAGES_SQL } from "../daily-series.ts";
import {
  ADDITIONS_MADE,
  ADDITIONS_OF_SAVE_COUNTS,
  columnsAfter,
  KINDS,
  kindsAfter,
  tablesAfter,
} from "../model/kinds.ts";
import type { PostgresConnection } from "./connection.ts";
import { failureOf, isUnknownToDatabase } from "./errors.ts";
import { REQUEST_INDEX, TRIM_INDEX } from "./own-names.ts";
import { UnsuitableDatabaseError, versionOf } from "./requirements.ts";
import { identifier } from "./sql-text.ts";
import { comparesBytes, findTableProblems } from "./table-check.ts";
import { definitionIn, TABLES } from "./table-definitions.ts";

/** It has the first three kinds of rows and the update log. */
const BASE_VERSION = 2;
export const SCHEMA_VERSION = BASE_VERSION + ADDITIONS_MADE;
const SAVE_COUNTS_VERSION = BASE_VERSION + ADDITIONS_OF_SAVE_COUNTS;

/**
 * The first key of every advisory lock of this server. The second is 0 for the schema, -1 for
 * trimming, or a bucket of tickers.
 */
export const LOCK_CLASS = 0x57_0c_db;
export const SCHEMA_LOCK = 0;
export const TRIM_LOCK = -1;

/** Each runs once a statement, since a save has thousands of rows. @param schema of the tables. */
const triggersSql = (schema: string): string[] => [
  // It runs with its maker's rights and schema, since other programs change closes too.
  `CREATE OR REPLACE FUNCTION stock_db_drop_checkpoints() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
   SET search_path = pg_catalog, ${identifier(schema)}, pg_temp AS $$
   BEGIN
     IF TG_OP = 'TRUNCATE' THEN
       DELETE FROM daily_checkpoints;
     ELSIF TG_OP = 'UPDATE' THEN
       DELETE FROM daily_checkpoints c USING (
         SELECT ticker, pg_catalog.min(date) AS first FROM (
           (SELECT ticker, date, close FROM before EXCEPT ALL SELECT ticker, date, close FROM after)
           UNION ALL
           (SELECT ticker, date, close FROM after EXCEPT ALL SELECT ticker, date, close FROM before)
         ) changed GROUP BY ticker) f
       WHERE c.ticker = f.ticker AND c.date > f.first;
     ELSIF TG_OP = 'INSERT' THEN
       DELETE FROM daily_checkpoints c USING (SELECT ticker, pg_catalog.min(date) AS first FROM after GROUP BY ticker) f
       WHERE c.ticker = f.ticker AND c.date > f.first;
     ELSE
       DELETE FROM daily_checkpoints c USING (SELECT ticker, pg_catalog.min(date) AS first FROM before GROUP BY ticker) f
       WHERE c.ticker = f.ticker AND c.date > f.first;
     END IF;
     RETURN NULL;
   END $$`,
  ...trigger("INSERT", "REFERENCING NEW TABLE AS after"),
  ...trigger("UPDATE", "REFERENCING OLD TABLE AS before NEW TABLE AS after"),
  ...trigger("DELETE", "REFERENCING OLD TABLE AS before"),
  ...trigger("TRUNCATE", ""),
];

function trigger(event: string, tables: string): string[] {
  const name = `daily_checkpoints_${event.toLowerCase()}`;
  return [
    `DROP TRIGGER IF EXISTS ${name} ON daily_prices`,
    `CREATE TRIGGER ${name} AFTER ${event} ON daily_prices ${tables}
     FOR EACH STATEMENT EXECUTE FUNCTION stock_db_drop_checkpoints()`,
  ];
}

const UNKNOWN_COLUMN = "42703";
export const OWN_SCHEMA = "give the server a schema of its own with ?search_path=";

/** The database has tables of the server's names that it can't use. */
export class SchemaError extends Error {
  override name = "SchemaError";
}

export interface SchemaOptions {
  /** Without them, simultaneous first starts may have to be repeated. */
  advisoryLocks: boolean;
}

/** The server can do without these; the texts are for the log. */
const OPTIONAL = {
  collation: 'the database takes no COLLATE "C", and compares byte by byte without',
  triggers:
    "the database takes no triggers of this kind: closes changed by other programs keep their averages",
  hypertable: "TimescaleDB refused to make realtime_data a hypertable",
};
type Optional = keyof typeof OPTIONAL;

/**
 * The transaction is repeated without the part, since not every database has savepoints for DDL.
 */
class OptionalRefusedError extends Error {
  readonly part: Optional;

  constructor(part: Optional, cause: unknown) {
    super(`${part} was refused`, { cause });
    this.part = part;
  }
}

/**
 * Brings the database to SCHEMA_VERSION in one transaction.
 * @returns what was done, for the log; null if nothing was.
 * @throws SchemaError the version is newer, or a table doesn't fit.
 * @throws UnsuitableDatabaseError the database can't hold such tables.
 */
export async function prepareSchema(
  connection: PostgresConnection,
  { advisoryLocks }: SchemaOptions,
): Promise<string | null> {
  if ((await storedVersion(connection)) === SCHEMA_VERSION) {
    await checkTables(connection, "made");
    return null;
  }
  const without = new Map<Optional, string>();
  for (;;) {
    try {
      return await createAtOnce(connection, { advisoryLocks, without });
    } catch (error) {
      if (!(error instanceof OptionalRefusedError)) throw error;
      const { part, cause } = error;
      const canDoWithout = part !== "collation" || (await comparesBytes(connection));
      if (without.has(part) || !canDoWithout) throw await unsuitable(connection, cause);
      without.set(part, failureOf(cause)?.message ?? String(cause));
    }
  }
}

interface CreateOptions extends SchemaOptions {
  /** The parts that were refused before, with the reasons. */
  without: ReadonlyMap<Optional, string>;
}

async function createAtOnce(
  connection: PostgresConnection,
  { advisoryLocks, without }: CreateOptions,
): Promise<string | null> {
  await connection.run("BEGIN");
  try {
    if (advisoryLocks)
      await connection.run("SELECT pg_advisory_xact_lock($1::int, $2::int)::text", [LOCK_CLASS, SCHEMA_LOCK]);
    const version = await storedVersion(connection);
    // Not every database can undo DDL, so this comes before anything is made.
    if (version !== SCHEMA_VERSION) await checkTables(connection, "before", columnsLacking(version));
    const done = version === SCHEMA_VERSION ? null : await create(connection, version, without);
    await checkTables(connection, "made");
    await connection.run("COMMIT");
    return done;
  } catch (error) {
    if (!connection.lost) await connection.run("ROLLBACK");
    throw error;
  }
}

/** @param from the stored version; 0: none. */
async function create(
  connection: PostgresConnection,
  from: number,
  without: ReadonlyMap<Optional, string>,
): Promise<string> {
  await optional(connection, "collation", tablesSql(!without.has("collation")));
  const added = await addColumns(connection, from);
  await connection.run(`CREATE INDEX IF NOT EXISTS ${TRIM_INDEX} ON update_log (id)`);
  await connection.run(
    `CREATE INDEX IF NOT EXISTS ${REQUEST_INDEX} ON update_log (request_key) WHERE request_key IS NOT NULL`,
  );
  await connection.run(
    "INSERT INTO update_epoch (epoch) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM update_epoch)",
    [randomUUID()],
  );
  if (from > 0) {
    await connection.run("INSERT INTO stock_db_schema (version) VALUES ($1)", [SCHEMA_VERSION]);
    const made = from - BASE_VERSION;
    const tables = [...kindsAfter(made).map(({ table }) => table), ...tablesAfter(made)];
    if (tables.includes(KINDS.actions.table)) await connection.run(FORGET_COARSE_AVERAGES_SQL);
    const parts = [...(from < BASE_VERSION ? ["the update log"] : []), ...tables, ...added];
    return `upgraded from version ${from}: ${parts.join(", ")}`;
  }
  const done = ["created the tables", ...(added.length === 0 ? [] : [`added ${added.join(", ")}`])];
  if (!without.has("triggers")) {
    const [row] = await connection.run<{ schema: string }>("SELECT current_schema()::text AS schema");
    await optional(connection, "triggers", triggersSql(row!.schema));
  }
  const hypertable = without.has("hypertable") ? null : await hypertableSql(connection);
  if (hypertable !== null) {
    await optional(connection, "hypertable", [hypertable]);
    done.push("realtime_data is a hypertable");
  }
  for (const [part, reason] of without) done.push(`${OPTIONAL[part]} (${reason})`);
  await connection.run("CREATE TABLE IF NOT EXISTS stock_db_schema (version integer NOT NULL)");
  await connection.run("INSERT INTO stock_db_schema (version) VALUES ($1)", [SCHEMA_VERSION]);
  return done.join("; ");
}

/**
 * `table.column` of what the tables of an earlier version lack, or tables that another program made
 * for this server. @param version 0: there is none.
 */
export function columnsLacking(version: number): string[] {
  const ofRows = columnsAfter(Math.max(0, version - BASE_VERSION)).flatMap(({ kind, columns }) =>
    columns.map(({ name }) => `${kind.table}.${name}`),
  );
  const ofLog = version < SAVE_COUNTS_VERSION ? ["request_key", "counts"] : [];
  return [...ofRows, ...ofLog.map((name) => `update_log.${name}`)];
}

/** Only what is missing is altered: the tables may be somebody else's. @returns what was. */
async function addColumns(connection: PostgresConnection, from: number): Promise<string[]> {
  const there = await connection.run<{ name: string }>(
    `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
     WHERE table_schema = current_schema()`,
  );
  const names = new Set(there.map(({ name }) => name));
  const missing = columnsLacking(from).filter((column) => !names.has(column));
  for (const column of missing) {
    const [table, name] = column.split(".") as [string, string];
    await connection.run(`ALTER TABLE ${table} ADD COLUMN ${definitionIn(table, name)}`);
  }
  return missing;
}

function tablesSql(collated: boolean): string[] {
  return TABLES.map(({ name, columns, key }) => {
    const definition = `CREATE TABLE IF NOT EXISTS ${name} (${columns.join(", ")}, PRIMARY KEY (${key}))`;
    return collated ? definition : definition.replaceAll(' COLLATE "C"', "");
  });
}

/**
 * Partitions the ticks by time. TimescaleDB's schema is rarely on the search path.
 * @returns null without TimescaleDB.
 */
async function hypertableSql(connection: PostgresConnection): Promise<string | null> {
  const [found] = await connection.run<{ schema: string; ranges: boolean }>(
    `SELECT quote_ident(n.nspname) AS schema, EXISTS (SELECT 1 FROM pg_proc p WHERE p.proname = 'by_range' AND p.pronamespace = n.oid) AS ranges
     FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'`,
  );
  if (found === undefined) return null;
  const { schema, ranges } = found;
  // TimescaleDB has by_range since 2.13.
  const dimension = ranges ? `${schema}.by_range('timestamp')` : "'timestamp'";
  return `SELECT ${schema}.create_hypertable('realtime_data', ${dimension}, if_not_exists => true, migrate_data => true)::text`;
}

/** @throws OptionalRefusedError the database doesn't know a statement; the transaction is lost. */
async function optional(connection: PostgresConnection, part: Optional, statements: string[]): Promise<void> {
  try {
    for (const statement of statements) await connection.run(statement);
  } catch (error) {
    if (!(part === "collation" ? isUnknownToDatabase(error) : failureOf(error)?.kind === "refused"))
      throw error;
    throw new OptionalRefusedError(part, error);
  }
}

async function unsuitable(connection: PostgresConnection, cause: unknown): Promise<Error> {
  const reason = failureOf(cause)?.message ?? String(cause);
  return new UnsuitableDatabaseError(
    await versionOf(connection),
    `what the tables need (it says: ${reason})`,
    { cause },
  );
}

/** @returns 0 if there are no tables. @throws SchemaError a newer version. */
export async function storedVersion(connection: PostgresConnection): Promise<number> {
  // to_regclass may remember from before the lock that there was none.
  const found = await connection.run(
    "SELECT 1 AS one FROM pg_tables WHERE tablename = 'stock_db_schema' AND schemaname = ANY (current_schemas(false))",
  );
  if (found.length === 0) return 0;
  const version = await readVersion(connection);
  if (version > SCHEMA_VERSION) {
    throw new SchemaError(
      `open database: its schema version is ${version}, this server knows up to ${SCHEMA_VERSION}; it was written by a newer server`,
    );
  }
  return version;
}

async function readVersion(connection: PostgresConnection): Promise<number> {
  try {
    const [row] = await connection.run<{ version: number }>(
      "SELECT pg_catalog.max(version)::int AS version FROM stock_db_schema",
    );
    return row?.version ?? 0;
  } catch (error) {
    if (failureOf(error)?.code !== UNKNOWN_COLUMN) throw error;
    throw new SchemaError(`open database: the table stock_db_schema is another program's; ${OWN_SCHEMA}`);
  }
}

/** @throws SchemaError which names all that is wrong with the tables. */
async function checkTables(
  connection: PostgresConnection,
  state: "before" | "made",
  lacking: readonly string[] = [],
): Promise<void> {
  const problems = await findTableProblems(connection, state, lacking);
  if (problems.length === 0) return;
  const list = problems.map(({ problem, advice }) => `${problem}: ${advice}`).join("; ");
  throw new SchemaError(`open database: ${list}; or ${OWN_SCHEMA}`);
}
