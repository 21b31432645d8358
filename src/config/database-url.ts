import { parsePostgresUrl } from "./postgres-url.ts";
import { FIVE_PARTS, redact, SCHEME } from "./redact.ts";
import { HOST_AND_PORT, parseUpstream } from "./upstream-url.ts";
import { quoted, UsageError } from "./usage-error.ts";

export { redact } from "./redact.ts";

export type Engine = "sqlite" | "duckdb" | "postgresql" | "timescaledb" | "questdb" | "remote";

const NAMES: Record<Engine, string> = {
  sqlite: "SQLite",
  duckdb: "DuckDB",
  postgresql: "PostgreSQL",
  timescaledb: "TimescaleDB",
  questdb: "QuestDB",
  remote: "another stock database server",
};

const SUPPORTED: readonly Engine[] = ["sqlite", "duckdb", "postgresql", "timescaledb", "remote"];

const SCHEMES: Record<string, Engine> = {
  "postgresql:": "postgresql",
  "postgres:": "postgresql",
  "timescaledb:": "timescaledb",
  "questdb:": "questdb",
  "http:": "remote",
  "https:": "remote",
};

const ENDINGS: Record<string, Engine> = {
  ".db": "sqlite",
  ".sqlite": "sqlite",
  ".sqlite3": "sqlite",
  ".duckdb": "duckdb",
};

const EXPECTED =
  "expected a path ending in .db, .sqlite, .sqlite3 or .duckdb, a URL such as postgresql://user:password@host:5432/database, or host:port or http(s)://… of another stock database server";

/**
 * Which engine a `--db-file` value means: by its scheme, else its form
 * (host:port:database:user:password, host:port), else the ending of the path, in any case of
 * letters.
 *
 * @param source The flag or variable that the value came from, for the error.
 * @throws UsageError It means no engine, or one that isn't supported yet. Passwords are hidden in
 *   the message.
 */
export function describeDatabase(dbFile: string, source = "--db-file"): { engine: Engine } {
  const shown = quoted(redact(dbFile));
  if (dbFile === ":memory:") {
    const reason = "a database in memory can't be shared by the processes of this server";
    throw new UsageError(`${source}: ${reason}, got ${shown}; ${EXPECTED}`);
  }
  const engine = engineOf(dbFile);
  if (engine === undefined) throw new UsageError(`${source}: ${EXPECTED}, got ${shown}`);
  if (!SUPPORTED.includes(engine)) {
    const supported = SUPPORTED.map((known) => NAMES[known]).join(", ");
    throw new UsageError(
      `${source}: ${NAMES[engine]} isn't supported yet, got ${shown}; supported: ${supported} (${EXPECTED})`,
    );
  }
  if (engine === "remote" && parseUpstream(dbFile) === null) {
    throw new UsageError(
      `${source}: expected host:port or http(s)://host, without a query, of another stock database server, got ${shown}`,
    );
  }
  if (engine === "postgresql" || engine === "timescaledb") parsePostgresUrl(dbFile, { source });
  return { engine };
}

function engineOf(dbFile: string): Engine | undefined {
  if (dbFile.includes("\0")) return undefined;
  const scheme = SCHEME.exec(dbFile)?.[1];
  if (scheme !== undefined) return SCHEMES[scheme.toLowerCase()];
  if (FIVE_PARTS.test(dbFile)) return "postgresql";
  if (HOST_AND_PORT.test(dbFile)) return "remote";
  // SQLite would read "file:" as a URI with options of its own.
  if (/^file:/i.test(dbFile)) return undefined;
  return ENDINGS[/\.[^./]+$/.exec(dbFile)?.[0].toLowerCase() ?? ""];
}
