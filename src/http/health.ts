import type { LastBackup } from "../backup/last-backup.ts";
import type { Conditions } from "../observe/conditions.ts";
import { STATUS } from "../protocol/codes.ts";
import { hasStatus, type RequestError, unavailable } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { StockReader } from "../storage/contract.ts";

export interface HealthOptions {
  reader: StockReader;
  /** Redacted. */
  dbFile: string;
  dbType: string;
  /** Null in a single process. */
  workerId: number | null;
  isHubConnected(): boolean;
  /** How long the hub takes to answer; null: it is away. */
  hubLagMs(): number | null;
  /** Of the disk of the database's file; null: it has none, or that can't be told. */
  freeBytes(): number | null;
  conditions: Pick<Conditions, "reasons">;
  isDraining(): boolean;
  /** Null: no backup of the database was tried, or it is no file. */
  lastBackup(): LastBackup | null;
}

export interface Health {
  status: number;
  body: Record<string, unknown>;
}

/**
 * Healthy: the database answers a read now. Ready: also, the writer is reachable, no condition
 * hinders the worker, and it isn't draining.
 */
export async function checkHealth(
  options: HealthOptions,
  kind: "health" | "ready" | "live",
  via: string | null,
): Promise<Health> {
  const problem = kind === "live" ? null : await findProblem(options, kind, via);
  const processInfo = {
    pid: process.pid,
    multiprocess_mode: options.workerId !== null,
    worker_id: options.workerId ?? undefined,
  };
  const database = { db_file: options.dbFile, db_type: options.dbType };
  const state = kind === "live" ? {} : stateOf(options);
  if (problem === null) {
    return {
      status: 200,
      body: {
        status: "healthy",
        message: "Stock DB Server is running",
        database,
        ...(kind === "health"
          ? { requests_known_since: await knownSince(options.reader), ...tellBackup(options.lastBackup()) }
          : {}),
        ...state,
        process: processInfo,
      },
    };
  }
  const { status, message } = problem;
  return { status, body: { status: "unhealthy", message, database, ...state, process: processInfo } };
}

function stateOf(options: HealthOptions): Record<string, unknown> {
  const lagMs = options.hubLagMs();
  const freeBytes = options.freeBytes();
  return {
    ...(freeBytes === null ? {} : { disk: { free_bytes: freeBytes } }),
    hub: { connected: lagMs !== null, lag_ms: lagMs === null ? null : Math.round(lagMs * 10) / 10 },
    reasons: reasonsOf(options),
  };
}

/** What keeps this worker from being ready, beside a database that doesn't answer. */
function reasonsOf({ isDraining, isHubConnected, conditions }: HealthOptions): string[] {
  return [
    ...(isDraining() ? ["the worker is draining"] : []),
    ...(isHubConnected() ? [] : ["the database's writer is away"]),
    ...conditions.reasons,
  ];
}

/**
 * Since when the identities of requests are known: see docs/commands.md. Null: no save is kept, or
 * the database went away just now.
 */
async function knownSince(reader: StockReader): Promise<string | null> {
  try {
    const sinceMs = await reader.updates.keptSinceMs();
    return sinceMs === null ? null : new Date(sinceMs).toISOString();
  } catch {
    return null;
  }
}

/** @returns nothing where nobody makes backups. */
function tellBackup(last: LastBackup | null): Record<string, unknown> {
  if (last === null) return {};
  const { taken_at, failure } = last;
  const age = taken_at === null ? null : Math.round((Date.now() - Date.parse(taken_at)) / 1_000);
  return { last_backup: { taken_at, age_s: age, failed: failure !== null } };
}

async function findProblem(
  options: HealthOptions,
  kind: "health" | "ready",
  via: string | null,
): Promise<RequestError | null> {
  if (kind === "ready") {
    const reasons = reasonsOf(options);
    if (reasons.length > 0) return unavailable(reasons.join("; "));
  }
  try {
    await options.reader.probe(via);
    return null;
  } catch (error) {
    // Passed on as it is: every server of a circle must know.
    if (hasStatus(error, STATUS.circle)) return error;
    return unavailable(`the database doesn't answer: ${messageOf(error)}`);
  }
}
