import type { Conditions } from "../observe/conditions.ts";
import { STATUS } from "../protocol/codes.ts";
import { RequestError } from "../protocol/errors.ts";
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
  conditions: Pick<Conditions, "reasons">;
  isDraining(): boolean;
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
  if (problem === null) {
    return {
      status: 200,
      body: { status: "healthy", message: "Stock DB Server is running", database, process: processInfo },
    };
  }
  const { status, message } = problem;
  return { status, body: { status: "unhealthy", message, database, process: processInfo } };
}

interface Problem {
  status: number;
  message: string;
}

async function findProblem(
  options: HealthOptions,
  kind: "health" | "ready",
  via: string | null,
): Promise<Problem | null> {
  if (kind === "ready" && options.isDraining())
    return { status: STATUS.unavailable, message: "the worker is draining" };
  if (kind === "ready" && !options.isHubConnected())
    return { status: STATUS.unavailable, message: "the database's writer is away" };
  if (kind === "ready" && options.conditions.reasons.length > 0)
    return { status: STATUS.unavailable, message: options.conditions.reasons.join("; ") };
  try {
    await options.reader.probe(via);
    return null;
  } catch (error) {
    const message = messageOf(error);
    // Passed on as it is: every server of a circle must know.
    if (error instanceof RequestError && error.status === STATUS.circle)
      return { status: STATUS.circle, message };
    return { status: STATUS.unavailable, message: `the database doesn't answer: ${message}` };
  }
}
