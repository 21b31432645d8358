/**
 * The few requests that a check makes, each on a connection of its own, so that every worker gets
 * its share.
 */
import { redact } from "../../config/redact.ts";

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
  const { status, body } = await request(`${url}/health`, {});
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

/** @returns the body of a 200 answer. @throws RefusedFailure for others, CheckFailure for none. */
export async function sendCommand(
  url: string,
  command: string,
  params: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const { status, body } = await request(`${url}/db_command`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ command, params }),
  });
  if (status === 200) return body;
  const details = body.details === undefined ? "" : ` (${String(body.details)})`;
  const reason = `${String(body.error ?? "no reason given")}${details}`;
  throw new RefusedFailure(`${command} was answered ${status}: ${reason}`, status);
}

async function request(
  url: string,
  { headers, ...init }: RequestInit & { headers?: Record<string, string> },
): Promise<{ status: number; body: Record<string, unknown> }> {
  try {
    const response = await fetch(url, {
      ...init,
      headers: { ...headers, Connection: "close" },
      keepalive: false,
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    return { status: response.status, body: asObject(await response.json()) };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const refused = code === "ConnectionRefused" || code === "ECONNREFUSED";
    const reason = refused ? "connection refused. Is the server running?" : message;
    throw new CheckFailure(`${redact(url)}: ${reason}`, { cause: error });
  }
}

export function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function asNumber(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
