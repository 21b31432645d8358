/** Answers of /health and its kin. */

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
  /** Null in the one process of `--workers 1`. */
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
 * Healthy: the database answers a read now. Ready: also the writer can be reached, nothing keeps
 * the worker from all of its work, and it isn't on its way out.
 */
export async function checkHealth(
  options: HealthOptions,
  kind: "health" | "ready" | "live",
  via: string | null,
): Promise<Health> {
  const problem = kind === "live" ? null : await findProblem(options, kind, via);
  const process_ = {
    pid: process.pid,
    multiprocess_mode: options.workerId !== null,
    ...(options.workerId === null ? {} : { worker_id: options.workerId }),
  };
  const database = { db_file: options.dbFile, db_type: options.dbType };
  if (problem === null) {
    return {
      status: 200,
      body: { status: "healthy", message: "Stock DB Server is running", database, process: process_ },
    };
  }
  const { status, message } = problem;
  return { status, body: { status: "unhealthy", message, database, process: process_ } };
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
    // Told as it is: every server of a circle has to know.
    if (error instanceof RequestError && error.status === STATUS.circle)
      return { status: STATUS.circle, message };
    return { status: STATUS.unavailable, message: `the database doesn't answer: ${message}` };
  }
}
