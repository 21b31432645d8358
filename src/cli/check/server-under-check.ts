/**
 * The few requests that a check makes, each on a connection of its own, so that every worker gets
 * its share.
 */
import { redact } from "../../config/redact.ts";
import { isObject, type JsonRecord } from "../../protocol/json.ts";
import { askServer, NoAnswer, refusalIn, type ServerAnswer, type ServerRequest } from "../server-client.ts";

/** A healthy server answers sooner. */
const ANSWER_TIMEOUT_MS = 10_000;

export interface HealthAnswer {
  status: number;
  /** "healthy" when all is well. */
  state: string | null;
  pid: number | null;
  /** null in a single process. */
  workerId: number | null;
  multiprocess: boolean;
  tookMs: number;
}

/** A part of the check failed. The message says how. */
export class CheckFailure extends Error {
  override name = "CheckFailure";
}

/** The server answered, and refused. */
export class RefusedFailure extends CheckFailure {
  override name = "RefusedFailure";
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** @throws CheckFailure without an answer, or with one that this server never gives. */
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

/** @throws CheckFailure It isn't ready, for the reason that it gives, or doesn't answer. */
export async function askReady(url: string): Promise<void> {
  const { status, body } = await request(`${url}/ready`);
  if (status === 200) return;
  const reason = typeof body.message === "string" ? body.message : "no reason given";
  throw new RefusedFailure(`/ready was answered ${status}: ${reason}`, status);
}

/** @returns the body of a 200 answer. @throws RefusedFailure for others, CheckFailure for none. */
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
