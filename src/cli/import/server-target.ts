/**
 * Sends the rows of an import or a replay to a running server, patiently: a save can be repeated
 * without harm.
 */
import { redact } from "../../config/redact.ts";
import { type Backoff, backoffMs, jittered, sleep } from "../../time/pauses.ts";
import { describeRefusal, type ImportTarget, type SaveCommand, TargetError } from "./target.ts";

export interface ServerTargetOptions {
  /** Without a slash at its end. */
  url: string;
  /** Pause before the given retry, 1 the first, in ms. */
  retryDelayMs?: (retry: number) => number;
  /** Ends the asking again. */
  signal?: AbortSignal;
}

/** With the pauses at least 8 s: longer than the server takes to restart. */
const ATTEMPTS_MAX = 8;
const RETRY: Backoff = { firstMs: 100, maxMs: 5_000 };
/** A server that asks for a longer pause than this is asked again all the same. */
const RETRY_AFTER_MAX_MS = 30_000;
const ANSWER_TIMEOUT_MS = 60_000;
/** "Later" in HTTP: too many requests, and unavailable. */
const RETRIED_STATUSES = new Set([429, 503]);

export function serverTarget({
  url,
  retryDelayMs = (retry) => jittered(backoffMs(RETRY, retry)),
  signal = new AbortController().signal,
}: ServerTargetOptions): ImportTarget {
  let everAnswered = false;

  async function save(command: SaveCommand): Promise<void> {
    const body = JSON.stringify(command);
    let lastReason = "";
    let retryAfterMs = 0;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      if (attempt > 1) await sleep(Math.max(retryDelayMs(attempt - 1), retryAfterMs), signal);
      if (signal.aborted) break;
      const answer = await post(`${url}/db_command`, body);
      if (answer.kind === "answered") {
        everAnswered = true;
        if (answer.status === 200) return;
        if (!RETRIED_STATUSES.has(answer.status))
          throw new TargetError(`${redact(url)} refused the rows: ${answer.reason}`);
      } else if (!everAnswered && answer.refused) {
        throw new TargetError(
          `cannot reach ${redact(url)}: ${answer.reason}. Is the server running? --to names another server, --db-file a database file`,
        );
      }
      lastReason = answer.reason;
      retryAfterMs = answer.kind === "answered" ? answer.retryAfterMs : 0;
    }
    if (signal.aborted) throw new TargetError(`stopped before ${redact(url)} had stored the rows`);
    throw new TargetError(`${redact(url)} did not store the rows in ${ATTEMPTS_MAX} attempts: ${lastReason}`);
  }

  return { name: redact(url), save, close() {} };
}

type Answer =
  | { kind: "answered"; status: number; reason: string; retryAfterMs: number }
  /**
   * `refused`: nothing listens there. Otherwise the connection was lost or too slow, and the rows
   * may be stored.
   */
  | { kind: "lost"; refused: boolean; reason: string };

async function post(url: string, body: string): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    const text = await response.text();
    const { status } = response;
    return {
      kind: "answered",
      status,
      reason: readReason(response, text),
      retryAfterMs: readPause(response),
    };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const refused = code === "ConnectionRefused" || code === "ECONNREFUSED";
    return { kind: "lost", refused, reason: refused ? "connection refused" : message };
  }
}

/** The server's own words; a proxy's answer, or Bun's bare 413, has none. */
function readReason(response: Response, text: string): string {
  const status = `${response.status} ${response.statusText}`.trim();
  try {
    const body: unknown = JSON.parse(text);
    if (isErrorBody(body)) return `${describeRefusal(body)} (${status})`;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (response.status === 413) return `${status}: a batch is over its --max-body-mb; try a smaller --batch`;
  return status;
}

function isErrorBody(body: unknown): body is { error: string; details?: string } {
  return typeof body === "object" && body !== null && "error" in body && typeof body.error === "string";
}

/** `Retry-After` in seconds; its other form, a date, is not what this server sends. */
function readPause(response: Response): number {
  const seconds = Number(response.headers.get("retry-after") ?? 0);
  return seconds >= 0 ? Math.min(seconds * 1_000, RETRY_AFTER_MAX_MS) : 0;
}
