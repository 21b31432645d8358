/**
 * The messages between the supervisor and its children over Bun's IPC channel (`serialization:
 * "json"`), and the brief that tells a child what it is. Messages are small and rare, as Bun's
 * `send` has no backpressure.
 */
import type { LogLevel, Settings } from "../config/settings.ts";

/**
 * A child gets it as JSON in the environment variable STOCK_DB_CHILD. It is never in argv, since a
 * setting may hold a password.
 */
export interface ChildBrief {
  role: "hub" | "worker" | "sql-runner";
  /** 0 … N-1 for a worker, -1 for the others. */
  workerId: number;
  /** `port` is the real one, never 0. */
  settings: Settings;
  /**
   * A folder of mode 0700 that holds the hub's socket (`hub.sock`), the version board (`board`) and
   * the writer's note (`note`).
   */
  runtimeDir: string;
  /** The server's. A child of another version would misunderstand its messages. */
  version: string;
  /** The child tells the user what the database holds and what to try. Only the first one does. */
  greet: boolean;
}

export const CHILD_BRIEF_ENV = "STOCK_DB_CHILD";

/** The brief of the process that looks at a database for `doctor`. */
export interface DoctorBrief {
  dbFile: string;
  /** As given to `--read-replicas`. */
  replicas: string[];
}

export const DOCTOR_BRIEF_ENV = "STOCK_DB_DOCTOR";

export type ToSupervisor =
  /** The hub has its socket open, or the worker its port. */
  | { type: "ready" }
  | { type: "pong"; id: number }
  /** The child can't start, nor could a second one. It exits with BOOT_FAILURE_EXIT then. */
  | { type: "boot-failed"; reason: string };

export type ToChild =
  /** To the hub; workers are replaced. */
  | { type: "log-level"; level: LogLevel }
  | { type: "ping"; id: number }
  /** Same as SIGTERM to the child: drain within the time, then exit 0. */
  | { type: "drain"; timeoutMs: number };

/**
 * The default of UV_THREADPOOL_SIZE. DuckDB's calls take threads of the runtime's pool, which has
 * one for each CPU otherwise.
 */
export const WORK_POOL_THREADS = "32";

/** Exit code of a child that must not be restarted: the whole start has failed. */
export const BOOT_FAILURE_EXIT = 78;
/** Exit code of wrong usage: unknown flag, wrong value. */
export const USAGE_EXIT = 2;
