/**
 * Every setting of the server, declared once. Parsing, --help, --print-config, the documentation
 * and the type of the settings follow from this table.
 */
import { isIPv4 } from "node:net";
import { usableCpus } from "./control-groups.ts";
import { defaultMemoryMb, MEMORY_MB_MAX, MEMORY_MB_MIN } from "./memory-shares.ts";
import { redact } from "./redact.ts";
import {
  busUrl,
  calendarRules,
  fileMode,
  filePath,
  hostNames,
  listenAddress,
  oneOf,
  onOrOff,
  origins,
  otlpUrl,
  proxies,
  ratio,
  replicaUrls,
  retentionRules,
  rollupLengths,
  safeUrl,
  scopeRules,
  seconds,
  text,
  timeZone,
  type ValueType,
  wholeNumber,
  zeroOr,
  zeroOrSeconds,
} from "./setting-types.ts";
import { MIB } from "./units.ts";

/** The units that users write, in milliseconds and bytes. */
export const UNITS = { s: 1_000, KB: 1024, MB: MIB };

/**
 * How a server that runs takes a changed setting over on SIGHUP: where it is, or by new workers in
 * place of the old ones.
 */
export type TakeOver = "at once" | "by new workers";

/** Values here are in the unit that users write. The setting's name ends with its own unit. */
export interface Declaration<T> {
  flag: `--${string}`;
  type: ValueType<NonNullable<T>>;
  /** Null where the server has no value, or finds one later. */
  default: NoInfer<T>;
  /** A default that depends on a setting before it, and its text in the documentation. */
  dependentDefault?: { text: string; of(before: { host: string; dbFile: string }): NoInfer<T> };
  /** Left out for a count, a word or a path. */
  unit?: keyof typeof UNITS;
  /** Absent: it needs a stop and a start. */
  takeOver?: TakeOver;
  /** Ends with a full stop; doesn't repeat the default. */
  sentence: string;
  /** Hides the secrets in a value. A value that has this may never be logged without it. */
  redact?(value: NonNullable<T>): T;
  /** Replaces a value, such as 0, that stands for what the machine has. */
  resolve?(value: T): T;
}

/** Gives a declaration the type of its values. */
function setting<T>(declaration: Declaration<T>): Declaration<T> {
  return declaration;
}

/** In the order of --help. */
export const DECLARATIONS = {
  dbFile: setting({
    flag: "--db-file",
    type: { ...filePath(), placeholder: "PATH|URL" },
    default: "data/stock_data.db",
    sentence: "Database: a path or a connection string; its ending or scheme picks the engine.",
    redact,
  }),
  host: setting({
    flag: "--host",
    type: listenAddress(),
    default: "127.0.0.1",
    sentence: "Address to listen on; 0.0.0.0 or :: for every network interface.",
  }),
  port: setting({
    flag: "--port",
    type: wholeNumber({ min: 0, max: 65535 }),
    default: 8080,
    sentence: "Port to listen on; 0 takes any free one.",
  }),
  allowHosts: setting({
    flag: "--allow-host",
    takeOver: "at once",
    type: hostNames(),
    default: [],
    sentence: "Further host names that clients may use for this server; can be given several times.",
  }),
  allowOrigins: setting({
    flag: "--allow-origin",
    takeOver: "at once",
    type: origins(),
    default: [],
    sentence:
      "Pages of other sites that browsers let in, such as https://desk.example; * for all, where each client needs a key. Can be given several times.",
  }),
  trustProxies: setting({
    flag: "--trust-proxy",
    takeOver: "at once",
    type: proxies(),
    default: [],
    sentence:
      "Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Host count; unix for those that come by --unix-socket. Can be given several times.",
  }),
  keys: setting<string | null>({
    flag: "--keys",
    takeOver: "by new workers",
    type: filePath(),
    default: null,
    dependentDefault: {
      text: "the file of the database with .keys behind its name",
      of: ({ dbFile }) => (isInFile(dbFile) ? `${dbFile}.keys` : null),
    },
    sentence: "File of the keys of clients, made by `stock-db-server keys`; where it is, each needs one.",
  }),
  jwtSecretFile: setting<string | null>({
    flag: "--jwt-secret-file",
    takeOver: "by new workers",
    type: filePath(),
    default: null,
    sentence: "File of the secret of tokens (JWT) that another service issues, signed with HS256.",
  }),
  jwtKeyFile: setting<string | null>({
    flag: "--jwt-key-file",
    takeOver: "by new workers",
    type: filePath(),
    default: null,
    sentence: "Public key of such tokens, in PEM or as a JWK; its kind decides on RS256, ES256 or EdDSA.",
  }),
  jwtJwksUrl: setting<string | null>({
    flag: "--jwt-jwks-url",
    takeOver: "by new workers",
    type: safeUrl(),
    default: null,
    sentence: "Where the issuer of such tokens tells its public keys.",
  }),
  jwtIssuer: setting<string | null>({
    flag: "--jwt-issuer",
    takeOver: "by new workers",
    type: text("ISSUER", "the `iss` of the tokens"),
    default: null,
    sentence: "Issuer that tokens must have.",
  }),
  jwtAudience: setting<string | null>({
    flag: "--jwt-audience",
    takeOver: "by new workers",
    type: text("AUDIENCE", "the `aud` of the tokens"),
    default: null,
    sentence: "Audience that tokens must have.",
  }),
  jwtScopeClaim: setting({
    flag: "--jwt-scope-claim",
    takeOver: "by new workers",
    type: text("CLAIM", "the name of a claim"),
    default: "scope",
    sentence: "Claim that tells what a token allows, a text with blanks or a list.",
  }),
  jwtScopes: setting({
    flag: "--jwt-scopes",
    takeOver: "by new workers",
    type: scopeRules(),
    default: [],
    sentence:
      "What values of that claim allow, such as desk=read+stream; without it they are scopes themselves. Can be given several times.",
  }),
  jwtTickersClaim: setting<string | null>({
    flag: "--jwt-tickers-claim",
    takeOver: "by new workers",
    type: text("CLAIM", "the name of a claim"),
    default: null,
    sentence: "Claim with the tickers and patterns that a token is for; each token must have it then.",
  }),
  insecureNoAuth: setting({
    flag: "--insecure-no-auth",
    takeOver: "by new workers",
    type: onOrOff(),
    default: false,
    sentence: "Serve without keys also on an address that other machines reach.",
  }),
  tlsCert: setting<string | null>({
    flag: "--tls-cert",
    takeOver: "by new workers",
    type: filePath(),
    default: null,
    sentence:
      "Certificate of the server in PEM, with those between it and its authority; then it speaks HTTPS.",
  }),
  tlsKey: setting<string | null>({
    flag: "--tls-key",
    takeOver: "by new workers",
    type: filePath(),
    default: null,
    sentence: "Private key of that certificate in PEM, without a passphrase.",
  }),
  tlsClientCa: setting<string | null>({
    flag: "--tls-client-ca",
    takeOver: "by new workers",
    type: filePath(),
    default: null,
    sentence: "Authorities in PEM: a client needs a certificate of one of them.",
  }),
  redirectPort: setting<number | null>({
    flag: "--redirect-port",
    type: wholeNumber({ min: 1, max: 65535 }),
    default: null,
    sentence: "Port that answers plain HTTP with the address under https, beside --tls-cert.",
  }),
  unixSocket: setting<string | null>({
    flag: "--unix-socket",
    type: filePath(),
    default: null,
    sentence: "Unix socket that the first worker listens on too, in plain HTTP, for a proxy in front.",
  }),
  unixSocketMode: setting({
    flag: "--unix-socket-mode",
    type: fileMode(),
    default: "0660",
    sentence: "Mode of that socket: who may write it may connect.",
  }),
  workers: setting({
    flag: "--workers",
    type: wholeNumber({ min: 0, max: 128 }),
    default: 1,
    sentence:
      "Worker processes; 1 serves in one process, with the database's writer beside it, 0 takes one per usable CPU.",
    resolve: (count) => (count === 0 ? usableCpus() : count),
  }),
  workerRestartTimeoutMs: setting({
    flag: "--worker-restart-timeout",
    type: seconds({ min: 0.1, max: 3600 }),
    default: 30,
    unit: "s",
    sentence: "Time that a stopping worker gets to answer what it has accepted; then it is killed.",
  }),
  livenessTimeoutMs: setting({
    flag: "--liveness-timeout",
    type: seconds({ min: 0.5, max: 3600 }),
    default: 10,
    unit: "s",
    sentence: "A worker, or the database's writer, that is stuck for this long is replaced.",
  }),
  heartbeatIntervalMs: setting({
    flag: "--heartbeat-interval",
    takeOver: "by new workers",
    type: seconds({ min: 0.05, max: 3600 }),
    default: 1,
    unit: "s",
    sentence: "Time between two heartbeats on a WebSocket.",
  }),
  maxBodyBytes: setting({
    flag: "--max-body-mb",
    takeOver: "by new workers",
    type: wholeNumber({ min: 1, max: 1024 }),
    default: 10,
    unit: "MB",
    sentence: "Largest request body; a larger one is refused with 413.",
  }),
  updateLogBytes: setting({
    flag: "--update-log-mb",
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: 1024,
    unit: "MB",
    sentence: "Updates that the database keeps for clients that come back; beyond it the oldest go.",
  }),
  rollup: setting({
    flag: "--rollup",
    type: rollupLengths(),
    default: [],
    sentence: "Lengths of bars that are kept up to date from the trades of every ticker.",
  }),
  marketTimezone: setting({
    flag: "--market-timezone",
    takeOver: "by new workers",
    type: timeZone(),
    default: "America/New_York",
    sentence: "Time zone whose date is today, for every command that asks for today's bar, open or volume.",
  }),
  wsSymbolsMax: setting({
    flag: "--ws-symbols-max",
    takeOver: "by new workers",
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: 1000,
    sentence: "Most tickers that one WebSocket watches by name.",
  }),
  wsSubscriptionsMax: setting({
    flag: "--ws-subscriptions-max",
    takeOver: "by new workers",
    type: wholeNumber({ min: 1, max: 100_000_000 }),
    default: 1_000_000,
    sentence:
      "Most subscriptions of all WebSockets of one worker together, each ticker of each socket being one; more are refused.",
  }),
  wsSubscriptionsPerAddress: setting({
    flag: "--ws-subscriptions-per-address",
    takeOver: "by new workers",
    type: wholeNumber({ min: 1, max: 100_000_000 }),
    default: 500_000,
    sentence: "Most of these that one client address has in one worker.",
  }),
  wsTickersMax: setting({
    flag: "--ws-tickers-max",
    takeOver: "by new workers",
    type: wholeNumber({ min: 1, max: 100_000_000 }),
    default: 200_000,
    sentence:
      "Most different tickers that the WebSockets of one worker watch by name; a further one is refused.",
  }),
  wsConnectionsPerAddress: setting({
    flag: "--ws-connections-per-address",
    takeOver: "by new workers",
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: 5000,
    sentence:
      "Most WebSockets of one client address, in all workers together; a further one is refused with 429.",
  }),
  wsQueueBytes: setting({
    flag: "--ws-queue-kb",
    takeOver: "by new workers",
    type: wholeNumber({ min: 16, max: 1_000_000 }),
    default: 1024,
    unit: "KB",
    sentence: "Updates that wait for a client that reads slowly; beyond it the policy that it chose applies.",
  }),
  staleAfterMs: setting({
    flag: "--stale-after",
    type: zeroOrSeconds({ min: 2, max: 86_400 }),
    default: 0,
    unit: "s",
    sentence:
      "A feed that is silent for so long in its session is stale: it is logged, counted, and told to subscribers of its ticker. 0 for never.",
  }),
  feedCalendars: setting({
    flag: "--feed-calendar",
    type: calendarRules(),
    default: [],
    sentence:
      "When feeds of tickers are in session, such as BTC*=24/7,XNYS:extended; the first that fits a ticker counts, one that fits none is always in session. Can be given several times.",
  }),
  retain: setting({
    flag: "--retain",
    type: retentionRules(),
    default: [],
    sentence:
      "How long rows are kept, by their own time: trades=30d,quotes=7d,1min=2y, or of some tickers, OPT_*:quotes=2d; the first that fits counts, and what fits none is kept. Can be given several times.",
  }),
  archive: setting<string | null>({
    flag: "--archive",
    type: { ...filePath(), placeholder: "DIR" },
    default: null,
    sentence:
      "Where rows are written as Parquet before --retain removes them; /v1 reads them from there as if they were stored.",
  }),
  bus: setting<string | null>({
    flag: "--bus",
    type: busUrl(),
    default: null,
    sentence:
      "Where servers that share a database tell each other of updates: nats://…, redis://… or postgres.",
    redact,
  }),
  testFeed: setting({
    flag: "--test-feed",
    type: onOrOff(),
    default: false,
    sentence:
      "Save a quote and a trade of the ticker TEST every second, so that a client can be tried at any hour; those older than a day are deleted.",
  }),
  readReplicas: setting({
    flag: "--read-replicas",
    type: replicaUrls(),
    default: [],
    sentence:
      "Streaming replicas of the PostgreSQL of --db-file that answer large reads, each as new as the primary is then. Can be given several times.",
    redact: (urls) => urls.map(redact),
  }),
  replicaMaxLagMs: setting({
    flag: "--replica-max-lag",
    type: seconds({ min: 0.01, max: 3600 }),
    default: 1,
    unit: "s",
    sentence:
      "A replica that is further behind is left out, and no read waits longer for one; the primary answers it then.",
  }),
  dbPoolSize: setting({
    flag: "--db-pool-size",
    type: wholeNumber({ min: 1, max: 256 }),
    default: 10,
    sentence:
      "Most database connections and SQL runners that one worker keeps, and most statements sent with execute_sql that run at once in all workers.",
  }),
  sql: setting({
    flag: "--sql",
    takeOver: "at once",
    type: oneOf(["off", "select", "raw"]),
    default: "raw",
    dependentDefault: {
      text: "raw if --host is loopback, else select",
      of: ({ host }) => (isLoopback(host) ? "raw" : "select"),
    },
    sentence:
      "What clients may do with execute_sql: nothing (off), read (select), or also change rows and own tables (raw).",
  }),
  sqlGet: setting({
    flag: "--sql-get",
    takeOver: "at once",
    type: onOrOff(),
    default: true,
    sentence: "Answer reading SQL that comes by GET, as far as --sql lets it.",
  }),
  readOnly: setting({
    flag: "--read-only",
    takeOver: "at once",
    type: onOrOff(),
    default: false,
    sentence: "Refuse every save and every raw statement of clients with 403.",
  }),
  readTimeoutMs: setting({
    flag: "--read-timeout",
    takeOver: "by new workers",
    type: seconds({ min: 0.1, max: 3600 }),
    default: 300,
    unit: "s",
    sentence: "Longest read of many rows as columns; then it is stopped.",
  }),
  sqlTimeoutMs: setting({
    flag: "--sql-timeout",
    type: seconds({ min: 0.1, max: 3600 }),
    default: 30,
    unit: "s",
    sentence: "Longest run of a statement sent with execute_sql; then it is stopped.",
  }),
  sqlMaxRows: setting({
    flag: "--sql-max-rows",
    type: wholeNumber({ min: 1, max: 100_000_000 }),
    default: 1_000_000,
    sentence: "Most rows that execute_sql answers with.",
  }),
  memoryBytes: setting({
    flag: "--memory-mb",
    type: zeroOr({ min: MEMORY_MB_MIN, max: MEMORY_MB_MAX }),
    default: 0,
    unit: "MB",
    sentence:
      "Memory that all processes of the server may take together; near it, expensive requests get 503. 0 takes three quarters of what the machine or its control group has.",
    resolve: (mb) => (mb === 0 ? defaultMemoryMb() : mb),
  }),
  spoolBytes: setting({
    flag: "--spool-mb",
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: 1024,
    unit: "MB",
    sentence:
      "Answers kept on the disk, in the folder for temporary files, for clients that read slowly; beyond it they are broken off.",
  }),
  durability: setting({
    flag: "--durability",
    type: oneOf(["full", "normal"]),
    default: "full",
    sentence:
      "full: an answered save survives a power failure; normal: it survives a crash of the server, a power failure may lose the last ones.",
  }),
  duckdbMemoryBytes: setting({
    flag: "--duckdb-memory-mb",
    type: wholeNumber({ min: 64, max: 1_000_000 }),
    default: 1024,
    unit: "MB",
    sentence:
      "Memory that DuckDB may use for data and queries, at most half of --memory-mb; beyond it, it uses the disk.",
  }),
  duckdbThreads: setting({
    flag: "--duckdb-threads",
    type: wholeNumber({ min: 1, max: 256 }),
    default: 2,
    sentence: "Threads that DuckDB works on queries with.",
  }),
  sample: setting({
    flag: "--sample",
    type: onOrOff(),
    default: false,
    sentence: "Load the sample data if the database is empty.",
  }),
  minFreeBytes: setting<number | null>({
    flag: "--min-free-mb",
    type: wholeNumber({ min: 0, max: 10_000_000 }),
    default: null,
    unit: "MB",
    sentence:
      "Room that saves leave on the disk of a SQLite or DuckDB file; 0 for none. Left out: 256 MB, at most a quarter of the disk.",
  }),
  fileMode: setting({
    flag: "--file-mode",
    type: fileMode(),
    default: "0600",
    sentence:
      "Mode of new databases and logs, in octal; new folders get the same, and x for whoever may read. The umask doesn't matter.",
  }),
  logFile: setting<string | null>({
    flag: "--log-file",
    type: filePath(),
    default: null,
    sentence: "Log to this file too; each worker has its own beside it, with _worker_N in the name.",
  }),
  auditLog: setting<string | null>({
    flag: "--audit-log",
    takeOver: "by new workers",
    type: { ...filePath(), placeholder: "PATH|-" },
    default: null,
    sentence:
      "Write who signs in, is refused, deletes, renames or writes by SQL to this file, a line of JSON each; - for standard output.",
  }),
  logLevel: setting({
    flag: "--log-level",
    takeOver: "at once",
    type: oneOf(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
    default: "INFO",
    sentence: "Least important lines to log.",
  }),
  logFormat: setting({
    flag: "--log-format",
    type: oneOf(["text", "json"]),
    default: "text",
    sentence: "How lines of the log are written: text, or a JSON object each.",
  }),
  slowRequestMs: setting({
    flag: "--slow-request",
    takeOver: "at once",
    type: seconds({ min: 0, max: 3600 }),
    default: 0,
    unit: "s",
    sentence:
      "Log a warning for each request and each statement of SQL whose answer begins later than this; 0 for none.",
  }),
  accessLog: setting({
    flag: "--access-log",
    takeOver: "at once",
    type: oneOf(["on", "errors", "off"]),
    default: "errors",
    sentence:
      "Log a line for every request (on), for those with status 400 and above (errors), or none (off).",
  }),
  otlpEndpoint: setting<string | null>({
    flag: "--otlp-endpoint",
    takeOver: "by new workers",
    type: otlpUrl(),
    default: null,
    sentence:
      "Send traces of requests to this collector of OpenTelemetry, by OTLP over HTTP; without /v1/traces at its end, that is added.",
  }),
  otlpHeadersFile: setting<string | null>({
    flag: "--otlp-headers-file",
    takeOver: "by new workers",
    type: filePath(),
    default: null,
    sentence: "File of headers that the collector wants, such as `Authorization: Bearer …`, a line each.",
  }),
  otlpSample: setting({
    flag: "--otlp-sample",
    takeOver: "by new workers",
    type: ratio(),
    default: 1,
    sentence:
      "Part of the requests that is traced; a request with a traceparent is traced where that says sampled.",
  }),
};

export type SettingName = keyof typeof DECLARATIONS;

export const SETTING_NAMES = Object.keys(DECLARATIONS) as SettingName[];

/** The environment variable of a setting: STOCK_DB_LOG_LEVEL for --log-level. */
export function environmentName(name: SettingName): string {
  return ENVIRONMENT_PREFIX + DECLARATIONS[name].flag.slice(2).toUpperCase().replaceAll("-", "_");
}

export const ENVIRONMENT_PREFIX = "STOCK_DB_";

/** Whether a database is a file of its own: what has a colon is a connection, or none. */
export function isInFile(dbFile: string): boolean {
  return !dbFile.includes(":");
}

/**
 * Whether only this machine can reach a listening address. A name other than `localhost` may
 * resolve to anything, so it counts as reachable from elsewhere.
 */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (name === "localhost") return true;
  if (isIPv4(name)) return name.startsWith("127.");
  const canonical = URL.parse(`http://[${name}]`)?.hostname;
  return canonical === "[::1]" || /^\[::ffff:7f[0-9a-f]{2}:/.test(canonical ?? "");
}
