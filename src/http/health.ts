/** Answers of /health and its kin. */
import type { StockReader } from "../storage/contract.ts";

export interface HealthOptions {
  reader: StockReader;
  /** Redacted. */
  dbFile: string;
  dbType: string;
  /** Null in the one process of `--workers 1`. */
  workerId: number | null;
  isHubConnected(): boolean;
  isDraining(): boolean;
}

export interface Health {
  status: 200 | 503;
  body: Record<string, unknown>;
}

/** Healthy: the database answers a read now. Ready: also the writer can be reached, and the worker isn't on its way out. */
export async function checkHealth(
  options: HealthOptions,
  kind: "health" | "ready" | "live",
): Promise<Health> {
  const problem = kind === "live" ? null : await findProblem(options, kind);
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
  return { status: 503, body: { status: "unhealthy", message: problem, database, process: process_ } };
}

async function findProblem(options: HealthOptions, kind: "health" | "ready"): Promise<string | null> {
  if (kind === "ready" && options.isDraining()) return "the worker is draining";
  if (kind === "ready" && !options.isHubConnected()) return "the database's writer is away";
  try {
    await options.reader.probe();
    return null;
  } catch (error) {
    return `the database doesn't answer: ${error instanceof Error ? error.message : String(error)}`;
  }
}
