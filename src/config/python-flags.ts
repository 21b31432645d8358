/**
 * Flags of the older Python server that a start script may still carry. They have no effect here,
 * and are accepted so that the script goes on working.
 */
import type { Flag } from "./command-line.ts";

export const IGNORED_FLAGS: Readonly<Record<string, Flag>> = {
  "stale-data-timeout": { type: "string" },
  "cache-backends": { type: "string" },
  "cache-dir": { type: "string" },
  "startup-delay": { type: "string" },
  "child-stagger-ms": { type: "string" },
  "bind-retries": { type: "string" },
  "bind-retry-delay-ms": { type: "string" },
  "questdb-connection-timeout": { type: "string" },
  "no-cache": { type: "boolean" },
};

/** Flags of the Python server with another spelling here. */
export const SYNONYMS: Readonly<Record<string, Flag & { means: `--${string}`; value: string }>> = {
  "enable-access-log": { type: "boolean", means: "--access-log", value: "on" },
};
