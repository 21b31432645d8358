/**
 * Asks the database for what the server can't do without. Many databases speak PostgreSQL's
 * protocol and know little of its SQL.
 */
import type { PostgresConnection } from "./connection.ts";
import { failureOf, unlessRefused } from "./errors.ts";

interface Need {
  what: string;
  sql: string;
}

const NEEDS: Need[] = [
  {
    what: "PostgreSQL's catalog",
    sql: `SELECT to_regclass('pg_class')::text AS name, (SELECT pg_catalog.count(*) FROM pg_tables t, pg_settings s, pg_class c, pg_attribute a
      WHERE t.schemaname = ANY (current_schemas(false)) AND s.name = '' AND a.attrelid = c.oid) AS rows`,
  },
  {
    what: "arrays as rows (unnest WITH ORDINALITY, LATERAL)",
    sql: "SELECT pg_catalog.count(*) FROM unnest('{a}'::text[], '{b}'::text[]) WITH ORDINALITY AS w(t, u, n) JOIN LATERAL (SELECT w.n OFFSET 0) l ON true",
  },
  { what: "numeric", sql: "SELECT '12345678901234567890.125'::numeric::text AS digits" },
  {
    what: "timestamptz",
    sql: "SELECT ('2024-01-02 10:00:00.000001+00'::timestamptz AT TIME ZONE 'UTC')::text AS stamp",
  },
];

/** What version() contains, and the name of the product. */
const NAMES: [pattern: RegExp, name: string][] = [
  [/questdb/i, "QuestDB"],
  [/cockroach/i, "CockroachDB"],
  [/yugabyte|-YB-/i, "YugabyteDB"],
  [/redshift/i, "Amazon Redshift"],
  [/materialize/i, "Materialize"],
  [/risingwave/i, "RisingWave"],
  [/cratedb/i, "CrateDB"],
];
const VERSION_SHOWN_MAX = 100;

const ADVICE = "name a PostgreSQL 12 or later, or one of the databases in docs/postgresql.md";

export class UnsuitableDatabaseError extends Error {
  override name = "UnsuitableDatabaseError";
  readonly finding: string;
  readonly advice = ADVICE;

  constructor(version: string, lacks: string, options: ErrorOptions = {}) {
    const finding = `${nameOf(version)} can't hold this server's data: it lacks ${lacks}`;
    super(`${finding}; ${ADVICE}`, options);
    this.finding = finding;
  }
}

/** @throws UnsuitableDatabaseError which names all that is missing. */
export async function requireAbilities(connection: PostgresConnection): Promise<void> {
  // One round trip for all.
  const refusals = await Promise.all(NEEDS.map(({ sql }) => refusalOf(connection.run(sql))));
  const lacking = NEEDS.map(({ what }) => what).filter((_, index) => refusals[index] !== null);
  if (lacking.length === 0) return;
  const cause = refusals.find((refusal) => refusal !== null);
  throw new UnsuitableDatabaseError(await versionOf(connection), lacking.join(", "), { cause });
}

/** Tries the statement in a transaction, which is rolled back. */
export async function accepts(connection: PostgresConnection, sql: string): Promise<boolean> {
  await connection.run("BEGIN");
  try {
    return (await refusalOf(connection.run(sql))) === null;
  } finally {
    if (!connection.lost) await connection.run("ROLLBACK");
  }
}

export async function versionOf(connection: PostgresConnection): Promise<string> {
  const asked = connection.run<{ version: string }>("SELECT version() AS version");
  const [row] = await unlessRefused<{ version: string }[]>(asked, []);
  return row?.version ?? "";
}

/** @returns null if the database carried it out. */
async function refusalOf(statement: Promise<unknown>): Promise<unknown> {
  try {
    await statement;
    return null;
  } catch (error) {
    if (failureOf(error)?.kind !== "refused") throw error;
    return error;
  }
}

function nameOf(version: string): string {
  const known = NAMES.find(([pattern]) => pattern.test(version));
  const told = version.slice(0, VERSION_SHOWN_MAX);
  if (known !== undefined) return `${known[1]} ("${told}")`;
  return told === "" ? "this database, which doesn't tell its version," : `this database ("${told}")`;
}
