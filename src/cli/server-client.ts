/** One request to a running server: for import, replay, check, top and the test feed. */
import { ownKeyHeaders } from "../access/own-key.ts";
import type { ErrorBody } from "../protocol/errors.ts";
import { isObject, type JsonRecord, stringifyExact } from "../protocol/json.ts";
import { ARROW_STREAM } from "../protocol/media-types.ts";

export interface ServerRequest {
  /**
   * For `POST /db_command`; without it the request is a GET. Integers may be bigint: all their
   * digits are sent.
   */
  command?: { command: string; params: object } | undefined;
  /** The `data` of the command as an Arrow stream. */
  arrow?: Uint8Array<ArrayBuffer> | null;
  headers?: Record<string, string>;
  /** The server is this program's own: its certificate need not be trusted. */
  isOwnServer?: boolean;
  /** False: a connection of its own. */
  keepalive?: boolean;
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface ServerAnswer {
  status: number;
  /** Such as "503 Service Unavailable". */
  statusLine: string;
  headers: Headers;
  /** Empty when the answer is no JSON object, such as the page of a proxy. */
  body: JsonRecord;
  text: string;
}

/** Nothing listens there, the connection was lost, or the answer took too long. */
export class NoAnswer extends Error {
  override name = "NoAnswer";
  /** Nothing listens there: the request was never received. */
  readonly isRefused: boolean;

  constructor(cause: unknown) {
    const { code, message } = cause as { code?: string; message: string };
    const isRefused = code === "ConnectionRefused" || code === "ECONNREFUSED";
    super(isRefused ? "connection refused" : message, { cause });
    this.isRefused = isRefused;
  }
}

/** @throws NoAnswer */
export async function askServer(url: string, request: ServerRequest): Promise<ServerAnswer> {
  const {
    command,
    arrow = null,
    headers,
    isOwnServer = false,
    keepalive = true,
    timeoutMs,
    signal,
  } = request;
  const timeout = AbortSignal.timeout(timeoutMs);
  const sent = command === undefined ? null : stringifyExact(command);
  const type = arrow === null ? "application/json" : ARROW_STREAM;
  try {
    const response = await fetch(arrow === null ? url : `${url}?${new URLSearchParams({ command: sent! })}`, {
      method: command === undefined ? "GET" : "POST",
      headers: { "Content-Type": type, ...ownKeyHeaders(), ...headers },
      body: arrow ?? sent,
      keepalive,
      ...(isOwnServer ? { tls: { rejectUnauthorized: false } } : {}),
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    const { status, statusText } = response;
    const text = await response.text();
    const statusLine = `${status} ${statusText}`.trim();
    return { status, statusLine, headers: response.headers, body: objectIn(text), text };
  } catch (error) {
    throw new NoAnswer(error);
  }
}

/** A refusal in the server's own words; null when it has none. */
export function refusalIn({ error, details }: JsonRecord): string | null {
  if (typeof error !== "string") return null;
  return describeRefusal({ error, details: details === undefined ? undefined : String(details) });
}

export function describeRefusal({ error, details }: ErrorBody): string {
  return details === undefined ? error : `${error} (${details})`;
}

function objectIn(text: string): JsonRecord {
  try {
    const body: unknown = JSON.parse(text);
    return isObject(body) ? body : {};
  } catch {
    return {};
  }
}
