import { HOST_AND_PORT, parseUpstream } from "./upstream-url.ts";
import { quoted, UsageError } from "./usage-error.ts";

export type Engine = "sqlite" | "duckdb" | "postgresql" | "timescaledb" | "questdb" | "remote";

const NAMES: Record<Engine, string> = {
  sqlite: "SQLite",
  duckdb: "DuckDB",
  postgresql: "PostgreSQL",
  timescaledb: "TimescaleDB",
  questdb: "QuestDB",
  remote: "another stock database server",
};

const SUPPORTED: readonly Engine[] = ["sqlite", "remote"];

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
  "expected a path ending in .db, .sqlite or .sqlite3, or host:port or http(s)://… of another stock database server";

/** host:port:database:user:password; the password may hold colons. */
const FIVE_PARTS = /^([^:/\s]+:\d{1,5}:[^:]*:[^:]*):(.*)$/s;
const SCHEME = /^([a-z][a-z0-9+.-]*:)\/\//i;

/**
 * Which engine a `--db-file` value means: by its scheme, else its form (host:port:database:user:password, host:port),
 * else the ending of the path, in any case of letters.
 *
 * @param source The flag or variable that the value came from, for the error.
 * @throws UsageError It means no engine, or one that isn't supported yet. Passwords are hidden in the message.
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

/** Names of connection parameters whose values are secret, in `?name=value` and `name=value` forms. */
const SECRET_PARAMETERS =
  /((?:^|[?&;\s])(?:password|passwd|pass|pwd|sslpassword|token|auth_?token|secret|api_?key)\s*=\s*)('[^']*'|[^&;\s]*)/gi;

/**
 * A `--db-file` value as logs, errors and /health may show it: passwords replaced by ***. Where a password holds
 * characters that a URL should not, more is hidden rather than less.
 */
export function redact(dbFile: string): string {
  const scheme = SCHEME.exec(dbFile)?.[0] ?? "";
  const shown = scheme === "" ? dbFile : redactUserInfo(dbFile);
  const rest = shown.slice(scheme.length).replace(FIVE_PARTS, "$1:***");
  return scheme + rest.replace(SECRET_PARAMETERS, "$1***");
}

/** Up to the last "@", since a careless password may hold one, or a "/". Over HTTP a lone user name is usually a token. */
function redactUserInfo(url: string): string {
  const start = url.indexOf("//") + 2;
  const end = url.lastIndexOf("@");
  if (end < start) return url;
  const colon = url.indexOf(":", start);
  if (colon >= 0 && colon < end) return `${url.slice(0, colon)}:***${url.slice(end)}`;
  return /^https?:/i.test(url) ? `${url.slice(0, start)}***${url.slice(end)}` : url;
}
