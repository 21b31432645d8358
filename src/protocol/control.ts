/**
 * What the supervisor and its children say to each other over Bun's IPC channel (`serialization:
 * "json"`), and how a child learns what it is. Small and rare messages only: `send` has no
 * backpressure in Bun.
 */
import type { Settings } from "../config/settings.ts";

/**
 * Handed to a child in the environment variable STOCK_DB_CHILD, as JSON. Never in argv: a settings
 * value may hold a password.
 */
export interface ChildBrief {
  role: "hub" | "worker" | "sql-runner";
  /** 0 … N-1 for a worker, -1 for the others. */
  workerId: number;
  /** `port` is the real one: the supervisor has replaced 0. */
  settings: Settings;
  /**
   * A folder of mode 0700 that holds the hub's socket (`hub.sock`), the version board (`board`) and
   * the writer's note (`note`).
   */
  runtimeDir: string;
  /** Of the server: what it says to its children is for the same version alone. */
  version: string;
  /** Tell the user what is there and what to try; once, not again after each restart. */
  greet: boolean;
}

export const CHILD_BRIEF_ENV = "STOCK_DB_CHILD";

/** Handed to the process that looks at a database for `doctor`, like the brief of a child. */
export interface DoctorBrief {
  dbFile: string;
}

export const DOCTOR_BRIEF_ENV = "STOCK_DB_DOCTOR";

export type ToSupervisor =
  /** The hub has its socket open, or the worker its port. */
  | { type: "ready" }
  | { type: "pong"; id: number }
  /**
   * The child can't start and a second try would fail alike; it exits with BOOT_FAILURE_EXIT after
   * this.
   */
  | { type: "boot-failed"; reason: string };

export type ToChild =
  | { type: "ping"; id: number }
  /** Same as SIGTERM to the child: drain within the time, then exit 0. */
  | { type: "drain"; timeoutMs: number };

/**
 * For UV_THREADPOOL_SIZE, where the user sets none: DuckDB's calls take threads of the runtime's
 * pool, which has one a CPU.
 */
export const WORK_POOL_THREADS = "32";

/** Exit code of a child that must not be restarted: the whole start has failed. */
export const BOOT_FAILURE_EXIT = 78;
/** Exit code of wrong usage: unknown flag, wrong value. */
export const USAGE_EXIT = 2;
