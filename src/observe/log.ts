/**
 * The log of a process, on standard output and in a file if set. Logging never waits: lines are
 * written in the background, and dropped and counted when a target is too slow.
 */
import type { LogFormat, LogLevel } from "../config/settings.ts";
import { quoted, UsageError } from "../config/usage-error.ts";
import { within } from "../time/within.ts";
import { errorCode } from "./file-errors.ts";
import { LineQueue, type LineTarget } from "./line-queue.ts";
import { logFilePath, openLogFile } from "./log-file.ts";
import { formatLine, jsonLine } from "./log-line.ts";
import { standardOutput } from "./standard-output.ts";

export interface LogLines {
  debug(message: string): void;
  info(message: string): void;
  warning(message: string): void;
  /** Written without waiting for more lines, as is `critical`. */
  error(message: string): void;
  critical(message: string): void;
}

export interface Logger extends LogLines {
  /** Of later lines. */
  setLevel(level: LogLevel): void;
  /** Whether lines of this level are logged. Spares making a message in vain. */
  logs(level: LogLevel): boolean;
  /** A whole line for standard output alone, as it is. */
  plain(line: string): void;
  /** Resolves when all lines so far are written; at the latest after `FLUSH_TIMEOUT_MS`. */
  flush(): Promise<void>;
  /** Blocks for up to half a second. The logger calls it at the exit of the process. */
  flushSync(): void;
  /** Flushes and closes the file. Later lines are lost. */
  close(): Promise<void>;
}

export interface LoggerOptions {
  level: LogLevel;
  /** Null for the supervisor, the hub and a single process. */
  worker: number | null;
  /** The `--log-file` setting. A worker adds its number. */
  file: string | null;
  /** The `--log-format` setting; default: text. */
  format?: LogFormat;
  /** Gets chunks of whole lines instead of standard output. */
  write?: (text: string) => void | Promise<void>;
}

const METHODS = {
  DEBUG: "debug",
  INFO: "info",
  WARNING: "warning",
  ERROR: "error",
  CRITICAL: "critical",
} as const;

export function logAt(log: LogLines, level: LogLevel, message: string): void {
  log[METHODS[level]](message);
}

const FLUSH_TIMEOUT_MS = 2000;

const LEVELS: readonly LogLevel[] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
const PROMPT_FROM = LEVELS.indexOf("ERROR");

/** @throws UsageError The log file can't be opened. */
export function createLogger({ level, worker, file, format, write }: LoggerOptions): Logger {
  const lineOf = format === "json" ? jsonLine : formatLine;
  let threshold = LEVELS.indexOf(level);
  const queues: LineQueue[] = [];

  const log = (lineLevel: LogLevel, message: string): void => {
    const rank = LEVELS.indexOf(lineLevel);
    if (rank < threshold) return;
    const line = lineOf(lineLevel, worker, message);
    for (const queue of queues) queue.push(line, rank >= PROMPT_FROM);
  };
  const addTarget = (target: LineTarget): void => {
    queues.push(
      new LineQueue(target, {
        lost: (lines) =>
          lineOf("WARNING", worker, `${lines} log lines lost: ${target.name} didn't take them`),
        // Reaches the other target, if any: this one has just failed.
        failed: (error) => log("ERROR", `log lines to ${target.name} are being lost: ${errorCode(error)}`),
      }),
    );
  };
  addTarget(write === undefined ? standardOutput() : callback(write));
  if (file !== null) addTarget(openFile(logFilePath(file, worker), (problem) => log("WARNING", problem)));

  const flushSync = (): void => {
    for (const queue of queues) queue.flushSync();
  };
  process.on("exit", flushSync);

  const flush = async (): Promise<void> => {
    const flushed = Promise.all(queues.map((queue) => queue.flush()));
    await within(flushed, FLUSH_TIMEOUT_MS, () => undefined);
  };

  return {
    debug: (message) => log("DEBUG", message),
    info: (message) => log("INFO", message),
    warning: (message) => log("WARNING", message),
    error: (message) => log("ERROR", message),
    critical: (message) => log("CRITICAL", message),
    plain: (line) => queues[0]!.push(line, true),
    setLevel: (wanted) => {
      threshold = LEVELS.indexOf(wanted);
    },
    logs: (asked) => LEVELS.indexOf(asked) >= threshold,
    flush,
    flushSync,
    async close() {
      await flush();
      process.off("exit", flushSync);
      await Promise.all(queues.map((queue) => queue.close()));
    },
  };
}

function openFile(path: string, report: (problem: string) => void): LineTarget {
  try {
    return openLogFile(path, { report });
  } catch (error) {
    throw new UsageError(
      `--log-file: expected a file that can be written, got ${quoted(path)}: ${errorCode(error)}`,
    );
  }
}

function callback(write: NonNullable<LoggerOptions["write"]>): LineTarget {
  return {
    name: "the caller",
    chunkBytesMax: 64 * 1024,
    closed: false,
    write: async (chunk) => write(chunk.toString()),
    writeSync: (chunk) => void write(chunk.toString()),
    close: async () => {},
  };
}
