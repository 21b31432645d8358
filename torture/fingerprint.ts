/**
 * What a database holds that no attack may change: the sample's rows, and everything that makes up
 * the server's own tables.
 */
import type { EngineName } from "../test/support/flags.ts";
import type { HttpAnswer, Target } from "./attack.ts";

export interface Fingerprint {
  /** A digest of the answer, by what was asked. */
  rows: Record<string, string>;
  /** Tables of the server with their columns, indexes, triggers and the like, one in a line. */
  objects: string[];
}

const ROWS: Record<string, [command: string, params: Record<string, unknown>]> = {
  "daily bars of AAPL": ["get_stock_data", { ticker: "AAPL" }],
  "daily bars of SPY": ["get_stock_data", { ticker: "SPY" }],
  "trades of IBM": ["get_realtime_data", { ticker: "IBM", data_type: "trade", include_seq: true }],
  "quotes of IBM": ["get_realtime_data", { ticker: "IBM", data_type: "quote", include_seq: true }],
  "updates of IBM": ["get_updates", { ticker: "IBM", since: 0 }],
};

/** Each gives text in a column `line`, of the tables that begin with the names of `OWN`. */
const OWN = ["daily_", "hourly_", "realtime_", "update_"];
const OBJECTS: Record<EngineName, string> = {
  sqlite: `SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '') AS line FROM sqlite_schema
    WHERE ${ownTable("tbl_name")} ORDER BY line`,
  duckdb: `SELECT line FROM (
      SELECT 'table ' || table_name || ': ' || sql AS line FROM duckdb_tables() WHERE ${ownTable("table_name")}
      UNION ALL SELECT 'index ' || index_name || ' on ' || table_name FROM duckdb_indexes() WHERE ${ownTable("table_name")}
      UNION ALL SELECT 'view ' || view_name FROM duckdb_views() WHERE ${ownTable("view_name")}
    ) AS objects ORDER BY line`,
  postgres: `SELECT line FROM (
      SELECT 'relation ' || c.relname || ' ' || c.relkind::text || ' ' || coalesce(string_agg(a.attname || ':' || a.atttypid::text
        || ':' || a.attnotnull::text || ':' || a.attgenerated::text, ',' ORDER BY a.attnum), '') AS line
        FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE ${ownTable("c.relname")} GROUP BY c.relname, c.relkind
      UNION ALL SELECT 'trigger ' || t.tgname || ' on ' || c.relname FROM pg_catalog.pg_trigger t
        JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid WHERE ${ownTable("c.relname")}
      UNION ALL SELECT 'rule ' || r.rulename || ' on ' || c.relname FROM pg_catalog.pg_rewrite r
        JOIN pg_catalog.pg_class c ON c.oid = r.ev_class WHERE ${ownTable("c.relname")}
      UNION ALL SELECT 'constraint ' || k.conname || ' on ' || c.relname FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_class c ON c.oid = k.conrelid WHERE ${ownTable("c.relname")}
      UNION ALL SELECT 'policy ' || p.polname || ' on ' || c.relname FROM pg_catalog.pg_policy p
        JOIN pg_catalog.pg_class c ON c.oid = p.polrelid WHERE ${ownTable("c.relname")}
    ) AS objects ORDER BY line`,
};

const REFUSED_MAX_MS = 30_000;

/**
 * DuckDB's columns of sizes and volumes become wider with the first value that they can't hold:
 * that is no damage.
 */
const COUNT_TYPE = /\b(volume|size|ask_size) (?:BIGINT|DOUBLE|DECIMAL\([^)]*\))/g;

/** @throws Error It can't be read. */
export async function fingerprintOf(target: Target): Promise<Fingerprint> {
  const rows: Record<string, string> = {};
  for (const [what, [name, params]] of Object.entries(ROWS)) {
    const { status, text } = await untilServed(() => target.command(name, params));
    if (status !== 200) throw new Error(`${what}: ${status} ${text.slice(0, 200)}`);
    rows[what] = new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 16);
  }
  const { status, text } = await untilServed(() => target.sql("select", OBJECTS[target.engine]));
  if (status !== 200) throw new Error(`the database's objects: ${status} ${text.slice(0, 300)}`);
  const objects = (JSON.parse(text).data as { line: string }[]).map(({ line }) =>
    line.replace(COUNT_TYPE, "$1 COUNT"),
  );
  return { rows, objects };
}

/** @returns What is different, in words; empty: nothing. */
export function compareFingerprints(before: Fingerprint, after: Fingerprint): string[] {
  const differences = Object.keys(before.rows)
    .filter((what) => before.rows[what] !== after.rows[what])
    .map((what) => `the ${what} are not what they were`);
  for (const line of before.objects)
    if (!after.objects.includes(line)) differences.push(`gone or changed: ${line.slice(0, 200)}`);
  for (const line of after.objects)
    if (!before.objects.includes(line)) differences.push(`new or changed: ${line.slice(0, 200)}`);
  return differences;
}

function ownTable(column: string): string {
  return `(${OWN.map((prefix) => `${column} LIKE '${prefix.replace("_", "\\_")}%' ESCAPE '\\'`).join(" OR ")})`;
}

/** After an attack the server may still refuse work for a while, and says so. */
async function untilServed(ask: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
  const deadline = performance.now() + REFUSED_MAX_MS;
  for (;;) {
    const answer = await ask();
    if (answer.status !== 503 || performance.now() > deadline) return answer;
    await Bun.sleep(500);
  }
}
