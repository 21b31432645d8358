/**
 * Reads a PostgreSQL connection string: a URL, or `host:port:database:user:password`.
 *
 * pg-connection-string would replace only the splitting of the URL. It takes the end of a password
 * that holds "?" or "/" for a host, and opens the file of `sslrootcert` while it reads.
 */
import { suggest } from "./nearest.ts";
import { KNOWN_PARAMETERS, readParameter } from "./postgres-parameters.ts";
import { redact } from "./redact.ts";
import { quoted, UsageError } from "./usage-error.ts";

const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
type SslMode = (typeof SSL_MODES)[number];

export interface PostgresHost {
  /** A host name, an address, or the folder of a Unix socket, which begins with "/". */
  host: string;
  port: number;
}

export interface PostgresTarget {
  /** Of one database, which one of them has as its primary: they are tried in turn. */
  hosts: readonly [PostgresHost, ...PostgresHost[]];
  database: string;
  user: string;
  /** Null when none was given; then PGPASSWORD counts. */
  password: string | null;
  sslMode: SslMode;
  /** Path of the authorities' certificates, for the check of the server's. */
  sslRootCert: string | null;
  /** Settings of the session, from `options=-c name=value` and `search_path=`. */
  parameters: Record<string, string>;
  /** A pooler that gives each transaction another connection is in between, by the URL. */
  pooled: boolean;
  /** How long to wait for a connection; null: the server's own time. */
  connectTimeoutMs: number | null;
  /**
   * A database that takes no writes is not the one that is meant: `target_session_attrs` says so,
   * or there are several hosts and it doesn't say otherwise.
   */
  writable: boolean;
  /** Names of parameters that have no effect here, and do no harm by that. */
  ignored: string[];
}

const PORT_DEFAULT = 5432;
const PORT_MAX = 65_535;
/** A connection that finds none of them tries each. */
const HOSTS_MAX = 8;
const CONNECT_TIMEOUT_MAX_S = 600;
/** Those of libpq, without the ones for databases that take no writes: the server writes. */
const SESSION_ATTRIBUTES = ["any", "read-write", "primary", "prefer-standby"];
/** The server sets these itself, since its answers depend on them. */
const OWN_PARAMETERS = [
  "timezone",
  "datestyle",
  "client_encoding",
  "statement_timeout",
  "standard_conforming_strings",
];
const EXPECTED = "expected postgresql://user:password@host:5432/database or host:port:database:user:password";

/**
 * Missing parts come from PGHOST, PGPORT, PGUSER and PGDATABASE, as in PostgreSQL's own clients.
 * Without these they are localhost, 5432, "postgres", and a database named like the user.
 *
 * @throws UsageError A form, a port or a parameter isn't understood. The message hides passwords.
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

  const hosts = readHosts(given, env, fail);
  const user = given.user ?? env.PGUSER ?? "postgres";
  const { sslrootcert } = given.parameters;
  const ofSystem = sslrootcert === "system";
  const sslMode = given.parameters.sslmode ?? env.PGSSLMODE ?? (ofSystem ? "verify-full" : "prefer");
  if (!(SSL_MODES as readonly string[]).includes(sslMode))
    throw fail(`expected an sslmode of ${SSL_MODES.join(", ")}`);
  // As in libpq: anybody can get a certificate of an authority that everybody trusts.
  if (ofSystem && sslMode !== "verify-full") throw fail("sslrootcert=system expects sslmode=verify-full");
  return {
    hosts,
    database: given.database ?? env.PGDATABASE ?? user,
    user,
    password: given.password,
    sslMode: sslMode as SslMode,
    sslRootCert: ofSystem ? null : (sslrootcert ?? null),
    parameters: readSessionParameters(given.parameters, fail),
    pooled: given.parameters.pgbouncer === "true",
    connectTimeoutMs: readConnectTimeout(given.parameters.connect_timeout, fail),
    writable: isWritableAsked(given.parameters.target_session_attrs, hosts.length, fail),
    ignored: given.ignored,
  };
}

interface Given {
  /** Of several, with commas between them. */
  host: string | null;
  port: string | null;
  database: string | null;
  user: string | null;
  password: string | null;
  parameters: Record<string, string>;
  ignored: string[];
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
    ignored: [],
  };
}

/** `URL` would refuse passwords with characters that should have been escaped. */
function readUrl(rest: string, fail: Fail): Given {
  // A "?" in a careless password comes before the last "@".
  const at = rest.lastIndexOf("@", rest.includes("?") ? parametersStart(rest) : rest.length);
  const userInfo = at < 0 ? "" : rest.slice(0, at);
  const [, address, path, query] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest.slice(at + 1)) ?? [];
  const colon = userInfo.indexOf(":");
  const { parameters, ignored } = readParameters(query ?? "", fail);
  const { host, port } = readAddress(address ?? "", fail);
  return {
    host: parameters.host ?? host,
    port: parameters.port ?? port,
    database: parameters.dbname ?? (decode(path ?? "", fail) || null),
    user: parameters.user ?? (decode(colon < 0 ? userInfo : userInfo.slice(0, colon), fail) || null),
    password: parameters.password ?? (colon < 0 ? null : decode(userInfo.slice(colon + 1), fail)),
    parameters,
    ignored,
  };
}

/** Where `?name=value` begins: a name and "=" follow the question mark. */
function parametersStart(rest: string): number {
  const found = /\?[a-z_]+=[^@]*$|\?$/i.exec(rest);
  return found === null ? rest.length : found.index;
}

/** As in libpq, `a:1,b:2`: each host has its own port. */
function readAddress(address: string, fail: Fail): { host: string | null; port: string | null } {
  const read = address.split(",").map((each) => {
    const [, six, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(each) ?? [];
    if (six === undefined && name === undefined) throw fail(EXPECTED);
    return { host: six ?? decode(name ?? "", fail), port: port ?? "" };
  });
  const joined = (name: "host" | "port"): string | null => {
    const all = read.map((each) => each[name]);
    return all.every((text) => text === "") ? null : all.join(",");
  };
  return { host: joined("host"), port: joined("port") };
}

/** One port for all, or one for each, of which those left out are the usual one. */
function readHosts(
  given: Pick<Given, "host" | "port">,
  env: Record<string, string | undefined>,
  fail: Fail,
): PostgresTarget["hosts"] {
  const names = (given.host ?? env.PGHOST ?? "localhost").split(",");
  const ports = (given.port ?? env.PGPORT ?? String(PORT_DEFAULT)).split(",");
  if (names.length > HOSTS_MAX) throw fail(`expected at most ${HOSTS_MAX} hosts`);
  if (ports.length > 1 && ports.length !== names.length)
    throw fail(`expected one port, or one for each of the ${names.length} hosts`);
  const hosts = names.map((host, at) => {
    const port = Number((ports.length === 1 ? ports[0] : ports[at]) || PORT_DEFAULT);
    if (!Number.isInteger(port) || port < 1 || port > PORT_MAX)
      throw fail(`expected a port from 1 to ${PORT_MAX}`);
    return { host: host === "" ? "localhost" : host, port };
  });
  return hosts as [PostgresHost, ...PostgresHost[]];
}

function readParameters(
  query: string,
  fail: Fail,
): { parameters: Record<string, string>; ignored: string[] } {
  const parameters: Record<string, string> = {};
  const ignored: string[] = [];
  for (const [name, value] of new URLSearchParams(query)) {
    const reading = readParameter(name, value);
    if (reading.kind === "known") parameters[reading.name] = value;
    else if (reading.kind === "ignored") ignored.push(name);
    else if (reading.kind === "refused")
      throw fail(`the parameter ${quoted(name)} can't be had so: ${reading.why}`);
    else {
      // A name without a value may be part of a password, so it isn't shown.
      const named = value === "" ? "a parameter" : `the parameter ${quoted(name)}`;
      throw fail(
        `${named} isn't known${suggest(name, KNOWN_PARAMETERS) || `; known: ${KNOWN_PARAMETERS.join(", ")}`}`,
      );
    }
  }
  return { parameters, ignored };
}

/** In seconds. For other clients 0 is no limit; here it is the server's own limit. */
function readConnectTimeout(text: string | undefined, fail: Fail): number | null {
  if (text === undefined) return null;
  const seconds = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds <= CONNECT_TIMEOUT_MAX_S))
    throw fail(`expected a connect_timeout from 0 to ${CONNECT_TIMEOUT_MAX_S} seconds`);
  return seconds === 0 ? null : seconds * 1_000;
}

function isWritableAsked(text: string | undefined, hosts: number, fail: Fail): boolean {
  if (text !== undefined && !SESSION_ATTRIBUTES.includes(text))
    throw fail(`expected target_session_attrs of ${SESSION_ATTRIBUTES.join(", ")}: the server writes`);
  return text === "read-write" || text === "primary" || (text === undefined && hosts > 1);
}

function readSessionParameters(given: Record<string, string>, fail: Fail): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const name of ["application_name", "search_path"]) {
    if (given[name] !== undefined) parameters[name] = given[name];
  }
  let rest = (given.options ?? "").trim();
  while (rest !== "") {
    // PostgreSQL reads "\ " as a blank within a value.
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
