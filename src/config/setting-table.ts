import { isLoopback } from "./loopback.ts";
import { defaultMemoryMb, MEMORY_MB_MAX, MEMORY_MB_MIN } from "./memory-shares.ts";
import { redact } from "./redact.ts";
import {
  busUrl,
  fileMode,
  filePath,
  hostNames,
  listenAddress,
  oneOf,
  onOrOff,
  seconds,
  type ValueType,
  wholeNumber,
  wholeNumberOrUsual,
  zeroOr,
} from "./setting-types.ts";
import type { AccessLog, Durability, LogLevel, Settings, SqlScope } from "./settings.ts";
import { usableCpus } from "./usable-cpus.ts";

/**
 * One setting: all that parsing, --help, --print-config and the documentation say about it comes
 * from here.
 */
export interface Declaration<T> {
  flag: `--${string}`;
  type: ValueType<T>;
  default: T;
  /**
   * The default where settings declared before are not at theirs, and how the documentation names
   * it.
   */
  dependentDefault?: { text: string; of(before: Settings): T };
  /** Null for a count, a word or a path. */
  unit: "s" | "MB" | "KB" | null;
  /** Ends with a full stop; doesn't repeat the default. */
  sentence: string;
  /** The value with its secrets hidden. */
  redact?(value: T): T;
  /** Replaces a value that stands for something to be found out. */
  resolve?(value: T): T;
}

/** In the order of --help. */
export const DECLARATIONS: { readonly [K in keyof Settings]: Declaration<Settings[K]> } = {
  dbFile: {
    flag: "--db-file",
    type: { ...filePath(), placeholder: "PATH|URL" },
    default: "data/stock_data.db",
    unit: null,
    sentence: "Database: a path or a connection string; its ending or scheme picks the engine.",
    redact,
  },
  host: {
    flag: "--host",
    type: listenAddress(),
    default: "127.0.0.1",
    unit: null,
    sentence: "Address to listen on; 0.0.0.0 or :: for every network interface.",
  },
  port: {
    flag: "--port",
    type: wholeNumber({ min: 0, max: 65535 }),
    default: 8080,
    unit: null,
    sentence: "Port to listen on; 0 takes any free one.",
  },
  allowHosts: {
    flag: "--allow-host",
    type: hostNames(),
    default: [],
    unit: null,
    sentence: "Further host names that clients may use for this server; can be given several times.",
  },
  workers: {
    flag: "--workers",
    type: wholeNumber({ min: 0, max: 128 }),
    default: 1,
    unit: null,
    sentence:
      "Worker processes; 1 serves in one process, with the database's writer beside it, 0 takes one per usable CPU.",
    resolve: (count) => (count === 0 ? usableCpus() : count),
  },
  workerRestartTimeoutS: {
    flag: "--worker-restart-timeout",
    type: seconds({ min: 0.1, max: 3600 }),
    default: 30,
    unit: "s",
    sentence: "Time that a stopping worker gets to answer what it has accepted; then it is killed.",
  },
  livenessTimeoutS: {
    flag: "--liveness-timeout",
    type: seconds({ min: 0.5, max: 3600 }),
    default: 10,
    unit: "s",
    sentence: "A worker, or the database's writer, that is stuck for this long is replaced.",
  },
  heartbeatIntervalS: {
    flag: "--heartbeat-interval",
    type: seconds({ min: 0.05, max: 3600 }),
    default: 1,
    unit: "s",
    sentence: "Time between two heartbeats on a WebSocket.",
  },
  maxBodyMb: {
    flag: "--max-body-mb",
    type: wholeNumber({ min: 1, max: 1024 }),
    default: 10,
    unit: "MB",
    sentence: "Largest request body; a larger one is refused with 413.",
  },
  updateLogMb: {
    flag: "--update-log-mb",
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: 1024,
    unit: "MB",
    sentence: "Updates that the database keeps for clients that come back; beyond it the oldest go.",
  },
  wsSymbolsMax: {
    flag: "--ws-symbols-max",
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: 1000,
    unit: null,
    sentence: "Most tickers that one WebSocket watches by name.",
  },
  wsSubscriptionsMax: {
    flag: "--ws-subscriptions-max",
    type: wholeNumber({ min: 1, max: 100_000_000 }),
    default: 1_000_000,
    unit: null,
    sentence:
      "Most subscriptions of all WebSockets of one worker together, each ticker of each socket being one; more are refused.",
  },
  wsSubscriptionsPerAddress: {
    flag: "--ws-subscriptions-per-address",
    type: wholeNumber({ min: 1, max: 100_000_000 }),
    default: 500_000,
    unit: null,
    sentence: "Most of these that one client address has in one worker.",
  },
  wsTickersMax: {
    flag: "--ws-tickers-max",
    type: wholeNumber({ min: 1, max: 100_000_000 }),
    default: 200_000,
    unit: null,
    sentence:
      "Most different tickers that the WebSockets of one worker watch by name; a further one is refused.",
  },
  wsConnectionsPerAddress: {
    flag: "--ws-connections-per-address",
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: 5000,
    unit: null,
    sentence:
      "Most WebSockets of one client address, in all workers together; a further one is refused with 429.",
  },
  wsQueueKb: {
    flag: "--ws-queue-kb",
    type: wholeNumber({ min: 16, max: 1_000_000 }),
    default: 1024,
    unit: "KB",
    sentence: "Updates that wait for a client that reads slowly; beyond it the policy that it chose applies.",
  },
  bus: {
    flag: "--bus",
    type: busUrl(),
    default: null,
    unit: null,
    sentence:
      "Where servers that share a database tell each other of updates: nats://…, redis://… or postgres.",
    redact: (url) => (url === null ? null : redact(url)),
  },
  testFeed: {
    flag: "--test-feed",
    type: onOrOff(),
    default: false,
    unit: null,
    sentence:
      "Save a quote and a trade of the ticker TEST every second, so that a client can be tried at any hour; those older than a day are deleted.",
  },
  dbPoolSize: {
    flag: "--db-pool-size",
    type: wholeNumber({ min: 1, max: 256 }),
    default: 10,
    unit: null,
    sentence:
      "Most database connections and SQL runners that one worker keeps, and most statements sent with execute_sql that run at once in all workers.",
  },
  sql: {
    flag: "--sql",
    type: oneOf<SqlScope>(["off", "select", "raw"]),
    default: "raw",
    dependentDefault: {
      text: "raw if --host is loopback, else select",
      of: ({ host }) => (isLoopback(host) ? "raw" : "select"),
    },
    unit: null,
    sentence:
      "What clients may do with execute_sql: nothing (off), read (select), or also change rows and own tables (raw).",
  },
  sqlGet: {
    flag: "--sql-get",
    type: onOrOff(),
    default: true,
    unit: null,
    sentence: "Answer reading SQL that comes by GET, as far as --sql lets it.",
  },
  readOnly: {
    flag: "--read-only",
    type: onOrOff(),
    default: false,
    unit: null,
    sentence: "Refuse every save and every raw statement of clients with 403.",
  },
  sqlTimeoutS: {
    flag: "--sql-timeout",
    type: seconds({ min: 0.1, max: 3600 }),
    default: 30,
    unit: "s",
    sentence: "Longest run of a statement sent with execute_sql; then it is stopped.",
  },
  sqlMaxRows: {
    flag: "--sql-max-rows",
    type: wholeNumber({ min: 1, max: 100_000_000 }),
    default: 1_000_000,
    unit: null,
    sentence: "Most rows that execute_sql answers with.",
  },
  memoryMb: {
    flag: "--memory-mb",
    type: zeroOr({ min: MEMORY_MB_MIN, max: MEMORY_MB_MAX }),
    default: 0,
    unit: "MB",
    sentence:
      "Memory that all processes of the server may take together; near it, expensive requests get 503. 0 takes three quarters of what the machine or its control group has.",
    resolve: (mb) => (mb === 0 ? defaultMemoryMb() : mb),
  },
  spoolMb: {
    flag: "--spool-mb",
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: 1024,
    unit: "MB",
    sentence:
      "Answers kept on the disk, in the folder for temporary files, for clients that read slowly; beyond it they are broken off.",
  },
  durability: {
    flag: "--durability",
    type: oneOf<Durability>(["full", "normal"]),
    default: "full",
    unit: null,
    sentence:
      "full: an answered save survives a power failure; normal: it survives a crash of the server, a power failure may lose the last ones.",
  },
  duckdbMemoryMb: {
    flag: "--duckdb-memory-mb",
    type: wholeNumber({ min: 64, max: 1_000_000 }),
    default: 1024,
    unit: "MB",
    sentence:
      "Memory that DuckDB may use for data and queries, at most half of --memory-mb; beyond it, it uses the disk.",
  },
  duckdbThreads: {
    flag: "--duckdb-threads",
    type: wholeNumber({ min: 1, max: 256 }),
    default: 2,
    unit: null,
    sentence: "Threads that DuckDB works on queries with.",
  },
  sample: {
    flag: "--sample",
    type: onOrOff(),
    default: false,
    unit: null,
    sentence: "Load the sample data if the database is empty.",
  },
  minFreeMb: {
    flag: "--min-free-mb",
    type: wholeNumberOrUsual({ min: 0, max: 10_000_000 }),
    default: null,
    unit: "MB",
    sentence:
      "Room that saves leave on the disk of a SQLite or DuckDB file; 0 for none. Left out: 256 MB, at most a quarter of the disk.",
  },
  fileMode: {
    flag: "--file-mode",
    type: fileMode(),
    default: "0600",
    unit: null,
    sentence:
      "Mode of new databases and logs, in octal; new folders get the same, and x for whoever may read. The umask doesn't matter.",
  },
  logFile: {
    flag: "--log-file",
    type: filePath() as ValueType<string | null>,
    default: null,
    unit: null,
    sentence: "Log to this file too; each worker has its own beside it, with _worker_N in the name.",
  },
  logLevel: {
    flag: "--log-level",
    type: oneOf<LogLevel>(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
    default: "INFO",
    unit: null,
    sentence: "Least important lines to log.",
  },
  accessLog: {
    flag: "--access-log",
    type: oneOf<AccessLog>(["on", "errors", "off"]),
    default: "errors",
    unit: null,
    sentence:
      "Log a line for every request (on), for those with status 400 and above (errors), or none (off).",
  },
};

export type SettingName = keyof Settings;

export const SETTING_NAMES = Object.keys(DECLARATIONS) as SettingName[];

/** The environment variable of a flag: STOCK_DB_LOG_LEVEL for --log-level. */
export function environmentName(flag: string): string {
  return ENVIRONMENT_PREFIX + flag.slice(2).toUpperCase().replaceAll("-", "_");
}

export const ENVIRONMENT_PREFIX = "STOCK_DB_";
