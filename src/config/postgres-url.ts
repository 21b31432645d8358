/** Where a PostgreSQL connection string points to: the forms of a URL, and `host:port:database:user:password`. */
import { suggest } from "./nearest.ts";
import { redact } from "./redact.ts";
import { quoted, UsageError } from "./usage-error.ts";

const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof SSL_MODES)[number];

export interface PostgresTarget {
  /** A host name, an address, or the folder of a Unix socket, which begins with "/". */
  host: string;
  port: number;
  database: string;
  user: string;
  /** Null: none was given; PGPASSWORD counts then. */
  password: string | null;
  sslMode: SslMode;
  /** Path of the certificates that the server's is checked against. */
  sslRootCert: string | null;
  /** Settings of the session, from `options=-c name=value` and `search_path=`. */
  parameters: Record<string, string>;
  /** A connection pool that gives each transaction another connection stands in between; else this is found out. */
  pooled: boolean;
}

const PORT_DEFAULT = 5432;
const PORT_MAX = 65_535;
const KNOWN_PARAMETERS = [
  "host",
  "port",
  "dbname",
  "user",
  "password",
  "sslmode",
  "sslrootcert",
  "application_name",
  "search_path",
  "options",
  "pgbouncer",
];
/** What the server sets itself, since its answers depend on it. */
const OWN_PARAMETERS = [
  "timezone",
  "datestyle",
  "client_encoding",
  "statement_timeout",
  "standard_conforming_strings",
];
const EXPECTED = "expected postgresql://user:password@host:5432/database or host:port:database:user:password";

/**
 * Missing parts are those of PostgreSQL's own clients: PGHOST, PGPORT, PGUSER, PGDATABASE, else localhost, 5432,
 * "postgres", and a database named like the user.
 *
 * @throws UsageError A form, a port or a parameter that is not understood. Passwords are hidden in the message.
 */
export function parsePostgresUrl(
  text: string,
  { source = "--db-file", env = process.env as Record<string, string | undefined> } = {},
): PostgresTarget {
  const fail = (reason: string): UsageError =>
    new UsageError(`${source}: ${reason}, got ${quoted(redact(text))}`);
  const rest = /^[a-z]+:\/\/(.*)$/is.exec(text)?.[1];
  const given = rest === undefined || isFiveParts(rest) ? readFiveParts(rest ?? text) : readUrl(rest, fail);
  if (given === null) throw fail(EXPECTED);

  const port = Number(given.port ?? env.PGPORT ?? PORT_DEFAULT);
  if (!Number.isInteger(port) || port < 1 || port > PORT_MAX)
    throw fail(`expected a port from 1 to ${PORT_MAX}`);
  const user = given.user ?? env.PGUSER ?? "postgres";
  const sslMode = given.parameters.sslmode ?? env.PGSSLMODE ?? "prefer";
  if (!(SSL_MODES as readonly string[]).includes(sslMode))
    throw fail(`expected an sslmode of ${SSL_MODES.join(", ")}`);
  return {
    host: given.host ?? env.PGHOST ?? "localhost",
    port,
    database: given.database ?? env.PGDATABASE ?? user,
    user,
    password: given.password,
    sslMode: sslMode as SslMode,
    sslRootCert: given.parameters.sslrootcert ?? null,
    parameters: readSessionParameters(given.parameters, fail),
    pooled: given.parameters.pgbouncer === "true",
  };
}

interface Given {
  host: string | null;
  port: string | null;
  database: string | null;
  user: string | null;
  password: string | null;
  parameters: Record<string, string>;
}

type Fail = (reason: string) => UsageError;

function isFiveParts(text: string): boolean {
  return /^[^:/@\s]+:\d+:[^:/@]*:/.test(text);
}

function readFiveParts(text: string): Given | null {
  const [, host, port, database, user, password] =
    /^([^:/\s]+):(\d+):([^:]*):([^:]*):(.*)$/s.exec(text) ?? [];
  if (host === undefined || port === undefined) return null;
  return {
    host,
    port,
    database: database || null,
    user: user || null,
    password: password || null,
    parameters: {},
  };
}

/** By hand, as `URL` would refuse passwords that hold characters which should have been escaped. */
function readUrl(rest: string, fail: Fail): Given {
  // A "?" of a careless password stands before the last "@".
  const at = rest.lastIndexOf("@", rest.includes("?") ? parametersStart(rest) : rest.length);
  const userInfo = at < 0 ? "" : rest.slice(0, at);
  const [, address, path, query] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest.slice(at + 1)) ?? [];
  const colon = userInfo.indexOf(":");
  const parameters = readParameters(query ?? "", fail);
  const { host, port } = readAddress(address ?? "", fail);
  return {
    host: parameters.host ?? host,
    port: parameters.port ?? port,
    database: parameters.dbname ?? (decode(path ?? "", fail) || null),
    user: parameters.user ?? (decode(colon < 0 ? userInfo : userInfo.slice(0, colon), fail) || null),
    password: parameters.password ?? (colon < 0 ? null : decode(userInfo.slice(colon + 1), fail)),
    parameters,
  };
}

/** Where `?name=value` begins: parameters have a name and "=" right behind the question mark. */
function parametersStart(rest: string): number {
  const found = /\?[a-z_]+=[^@]*$|\?$/i.exec(rest);
  return found === null ? rest.length : found.index;
}

function readAddress(address: string, fail: Fail): { host: string | null; port: string | null } {
  if (address.includes(",")) throw fail("one host is supported");
  const [, six, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(address) ?? [];
  if (six === undefined && name === undefined) throw fail(EXPECTED);
  return { host: six ?? (decode(name ?? "", fail) || null), port: port || null };
}

function readParameters(query: string, fail: Fail): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (!KNOWN_PARAMETERS.includes(name)) {
      throw fail(
        `the parameter ${quoted(name)} isn't known${suggest(name, KNOWN_PARAMETERS) || `; known: ${KNOWN_PARAMETERS.join(", ")}`}`,
      );
    }
    parameters[name] = value;
  }
  return parameters;
}

function readSessionParameters(given: Record<string, string>, fail: Fail): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const name of ["application_name", "search_path"]) {
    if (given[name] !== undefined) parameters[name] = given[name];
  }
  let rest = (given.options ?? "").trim();
  while (rest !== "") {
    // A blank within a value is written "\ ", as PostgreSQL reads it.
    const [all, name, value] = /^(?:-c\s*|--)([a-z_.]+)=((?:\\.|[^\s\\])*)\s*/i.exec(rest) ?? [];
    if (all === undefined || name === undefined || value === undefined)
      throw fail('expected options like "-c search_path=desk"');
    if (OWN_PARAMETERS.includes(name.toLowerCase())) throw fail(`${name} is set by this server`);
    parameters[name.replaceAll("-", "_")] = value.replace(/\\(.)/g, "$1");
    rest = rest.slice(all.length);
  }
  return parameters;
}

function decode(text: string, fail: Fail): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) throw fail('expected "%" only in front of two hexadecimal digits');
    throw error;
  }
}
