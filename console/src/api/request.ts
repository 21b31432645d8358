/** Requests to the server that has served this page, with the key of whoever is signed in. */
import { askForKey, key } from "./key.ts";
import { ServerError } from "./server-error.ts";

export const UNAUTHORIZED = 401;

export type Params = Record<string, string | number | boolean | undefined>;

export interface RequestOptions {
  method?: "GET" | "POST" | "DELETE";
  params?: Params;
  /** Sent as JSON, unless it is bytes or a text already. */
  body?: unknown;
  /** An `Authorization` in here takes the place of that of whoever is signed in. */
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/**
 * @param path Without a slash before it, so that it holds below a proxy's path: `v1/bars`.
 * @throws ServerError Any other answer than 2xx, or none. A 401 asks for a key, too.
 * @throws DOMException AbortError: the signal came first.
 */
export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = "GET", params = {}, body, signal } = options;
  const headers = new Headers(options.headers);
  const sentKey = key.peek();
  const isTrial = headers.has("Authorization");
  if (sentKey !== null && !isTrial) headers.set("Authorization", `Bearer ${sentKey}`);
  const isBytes = typeof body === "string" || body instanceof Blob || body instanceof Uint8Array;
  if (body !== undefined && !headers.has("Content-Type")) headers.set("Content-Type", "application/json");
  const sent = body === undefined ? null : ((isBytes ? body : JSON.stringify(body)) as BodyInit);
  let response: Response;
  try {
    response = await fetch(pathWith(path, params), { method, headers, body: sent, signal: signal ?? null });
  } catch (error) {
    if (error instanceof DOMException) throw error;
    throw new ServerError("The server can't be reached.", 0);
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  // Whoever has signed in meanwhile isn't asked again for what was sent before.
  if (error.status === UNAUTHORIZED && !isTrial && key.peek() === sentKey) askForKey(error.message);
  throw error;
}

/** @throws as `request` does */
export async function getJson<T>(path: string, params?: Params, signal?: AbortSignal): Promise<T> {
  const response = await request(path, { ...(params && { params }), signal });
  return (await response.json()) as T;
}

/** @throws as `request` does */
export async function postJson<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return (await (await request(path, { method: "POST", body, signal })).json()) as T;
}

/** A command of /db_command. @throws as `request` does */
export function runCommand<T>(
  command: string,
  params: Record<string, unknown>,
  signal?: AbortSignal,
): Promise<T> {
  return postJson<T>("db_command", { command, params }, signal);
}

/** Undefined ones are left out. */
export function pathWith(path: string, params: Params): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query.size === 0 ? path : `${path}?${query}`;
}

async function errorOf(response: Response): Promise<ServerError> {
  const { status, headers } = response;
  const retryAfter = headers.get("Retry-After");
  const text = await response.text().catch(() => "");
  return new ServerError(
    toldIn(text) ?? `The server answered with ${status} ${response.statusText}.`,
    status,
    retryAfter === null ? null : Number(retryAfter),
  );
}

/** Null: the text is no error of the server, but perhaps one of a proxy between. */
function toldIn(text: string): string | null {
  try {
    const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown };
    return [message, error].find((each): each is string => typeof each === "string") ?? null;
  } catch {
    return null;
  }
}
