/** What becomes of each parameter of connection strings from other clients. */

/** Parameters that have a meaning here. */
export const KNOWN_PARAMETERS = [
  "host",
  "port",
  "dbname",
  "user",
  "password",
  "sslmode",
  "sslrootcert",
  "connect_timeout",
  "target_session_attrs",
  "application_name",
  "search_path",
  "options",
  "pgbouncer",
];

/** Names that Prisma and JDBC have for known ones. */
const OTHER_NAMES: Record<string, string> = { schema: "search_path", currentSchema: "search_path" };

/** Parameters that make no difference that matters, some of them only with these values. */
const IGNORED: Record<string, RegExp> = {
  keepalives: /^/,
  keepalives_idle: /^/,
  keepalives_interval: /^/,
  keepalives_count: /^/,
  tcp_user_timeout: /^/,
  load_balance_hosts: /^/,
  fallback_application_name: /^/,
  sslsni: /^/,
  sslcompression: /^/,
  uselibpqcompat: /^/,
  connection_limit: /^/,
  pool_timeout: /^/,
  pool_size: /^/,
  statement_cache_size: /^/,
  prepareThreshold: /^/,
  client_encoding: /^(auto|utf-?8)$/i,
  channel_binding: /^(disable|prefer)$/,
  gssencmode: /^(disable|prefer)$/,
  sslnegotiation: /^postgres$/,
  ssl_min_protocol_version: /^TLSv1(\.[012])?$/,
};

const NO_CERTIFICATE = "the server has no certificate of its own to show";
const NOT_READ = "such files are not read: write the parts into the URL, or set PGPASSWORD";
const SAFER = "sslmode=verify-full makes sure of the database instead";
/** Ignoring one of these would make the connection less safe than its writer thinks, or another. */
const REFUSED: Record<string, string> = {
  channel_binding: `this client has no channel binding; ${SAFER}`,
  require_auth: `this client takes any way that the database asks for; ${SAFER}`,
  requirepeer: "this client doesn't look at who runs the database",
  gssencmode: "this client has no GSSAPI",
  sslnegotiation: "this client asks for TLS the usual way only",
  ssl_min_protocol_version: "this client takes TLS 1.2 and newer",
  ssl_max_protocol_version: "this client takes the newest TLS that both know",
  sslcert: NO_CERTIFICATE,
  sslkey: NO_CERTIFICATE,
  sslpassword: NO_CERTIFICATE,
  sslcrl: "revocation lists are not looked at",
  sslcrldir: "revocation lists are not looked at",
  ssl: "write sslmode=require, or sslmode=verify-full",
  requiressl: "write sslmode=require",
  client_encoding: "the server speaks UTF-8",
  hostaddr: "write the address as the host",
  service: NOT_READ,
  passfile: NOT_READ,
  replication: "the server reads and writes tables",
};

export type Reading =
  | { kind: "known"; name: string }
  | { kind: "ignored" }
  | { kind: "refused"; why: string }
  | { kind: "unknown" };

export function readParameter(name: string, value: string): Reading {
  const known = Object.hasOwn(OTHER_NAMES, name) ? OTHER_NAMES[name]! : name;
  if (KNOWN_PARAMETERS.includes(known)) return { kind: "known", name: known };
  if (Object.hasOwn(IGNORED, name) && IGNORED[name]!.test(value)) return { kind: "ignored" };
  if (Object.hasOwn(REFUSED, name)) return { kind: "refused", why: REFUSED[name]! };
  return { kind: "unknown" };
}
