/** The keys of issuers by their URL: fetched within bounds, and kept while the URL is away. */
import type { JWTVerifyGetKey } from "jose";
import { boundedText } from "../protocol/bounded-text.ts";
import { messageOf } from "../protocol/message-of.ts";

/** Of one fetch. */
const FETCH_MS_MAX = 5_000;
const BYTES_MAX = 256 * 1024;
/** Between two fetches: anybody can send tokens that name unknown keys. */
const COOLDOWN_MS = 10_000;
/** Keys that the issuer has withdrawn are known for so long at most, while its URL answers. */
const REFRESH_MS = 600_000;

/** The keys can't be had now. */
export class JwksAwayError extends Error {
  override name = "JwksAwayError";
}

export interface JwksKeys {
  keyOf: JWTVerifyGetKey;
  stop(): void;
}

/** The first fetch begins at once; tokens wait for it. */
export async function openJwks(url: string, log: { warning(text: string): void }): Promise<JwksKeys> {
  const { createRemoteJWKSet, customFetch } = await import("jose");
  let fetchedMs = Number.NEGATIVE_INFINITY;
  let problem = "";
  const fetchOnce = async (from: string, { signal, headers }: JwksRequest): Promise<Response> => {
    if (performance.now() - fetchedMs < COOLDOWN_MS) throw new JwksAwayError(problem);
    fetchedMs = performance.now();
    try {
      return await bounded(await fetch(from, { headers, signal, redirect: "error" }), signal);
    } catch (error) {
      problem = `--jwt-jwks-url ${url}: ${messageOf(error)}`;
      log.warning(`${problem}; the keys from before stay in force`);
      throw new JwksAwayError(problem, { cause: error });
    }
  };
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: FETCH_MS_MAX,
    cooldownDuration: COOLDOWN_MS,
    // The timer fetches them: a fetch that fails must not end those that are known.
    cacheMaxAge: Number.POSITIVE_INFINITY,
    [customFetch]: (from: string, request: unknown) => fetchOnce(from, request as JwksRequest),
  });
  // What fails is told, and tried again with the next token.
  const refresh = (): Promise<void> => keys.reload().catch(() => undefined);
  void refresh();
  const timer = setInterval(() => void refresh(), REFRESH_MS);
  timer.unref();
  return { keyOf: keys, stop: () => clearInterval(timer) };
}

interface JwksRequest {
  headers: Headers;
  signal: AbortSignal;
}

/** @returns the same answer, read in full. @throws Error it is none, or too large. */
async function bounded(response: Response, signal: AbortSignal): Promise<Response> {
  if (response.status !== 200) throw new Error(`got status ${response.status}, expected 200`);
  const text = await boundedText(response, BYTES_MAX, signal);
  const { keys } = JSON.parse(text) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error("expected a JSON Web Key Set, an object with keys");
  return new Response(text);
}
