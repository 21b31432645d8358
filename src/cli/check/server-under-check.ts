/**
 * The few requests that a check makes, each on a connection of its own, so that every worker gets
 * its share.
 */
import { redact } from "../../config/database-url.ts";
import { isObject, type JsonRecord } from "../../protocol/json.ts";
import { askServer, NoAnswer, refusalIn, type ServerAnswer, type ServerRequest } from "../server-client.ts";

/** No answer of a healthy server takes longer. */
const ANSWER_TIMEOUT_MS = 10_000;

export interface HealthAnswer {
  status: number;
  /** "healthy" when all is well. */
  state: string | null;
  pid: number | null;
  /** null in a server of one process. */
  workerId: number | null;
  multiprocess: boolean;
  tookMs: number;
}

/** A part of the check that did not go as it should; the message says what happened. */
export class CheckFailure extends Error {
  override name = "CheckFailure";
}

/** The server answered, and the answer was no. */
export class RefusedFailure extends CheckFailure {
  override name = "RefusedFailure";
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** @throws CheckFailure when there is no answer, or none that a server like this gives. */
export async function askHealth(url: string): Promise<HealthAnswer> {
  const startedAt = performance.now();
  const { status, body } = await request(`${url}/health`);
  const tookMs = performance.now() - startedAt;
  const process = asObject(body.process);
  return {
    status,
    state: typeof body.status === "string" ? body.status : null,
    pid: asNumber(process.pid),
    workerId: asNumber(process.worker_id),
    multiprocess: process.multiprocess_mode === true,
    tookMs,
  };
}

/**
 * @returns The body of the 200 answer. @throws RefusedFailure for any other. @throws CheckFailure
 * when there is none.
 */
export async function sendCommand(url: string, command: string, params: JsonRecord): Promise<JsonRecord> {
  const { status, body } = await request(`${url}/db_command`, { command, params });
  if (status === 200) return body;
  const reason = refusalIn(body) ?? "no reason given";
  throw new RefusedFailure(`${command} was answered ${status}: ${reason}`, status);
}

async function request(url: string, command?: ServerRequest["command"]): Promise<ServerAnswer> {
  const headers = { Connection: "close" };
  try {
    return await askServer(url, { command, headers, keepalive: false, timeoutMs: ANSWER_TIMEOUT_MS });
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    const hint = error.isRefused ? ". Is the server running?" : "";
    throw new CheckFailure(`${redact(url)}: ${error.message}${hint}`, { cause: error });
  }
}

export function asObject(value: unknown): JsonRecord {
  return isObject(value) ? value : {};
}

function asNumber(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
