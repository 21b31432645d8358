/** Commands of the upstream that read, and answers that are parsed here. */
import { RequestError, unavailable } from "../../protocol/errors.ts";
import { parseExactIntegers } from "../../protocol/exact-integers.ts";
import { isObject, type JsonRecord } from "../../protocol/json.ts";
import type { Upstream, UpstreamAnswer, UpstreamRequest } from "./upstream.ts";

const READ_TIMEOUT_MS = 30_000;
export const READ = { repeatable: true, effect: "", long: false, timeoutMs: READ_TIMEOUT_MS };

const UNKNOWN_COMMAND = "Unknown command";

export function readRequest(command: string, params: JsonRecord): UpstreamRequest {
  return { ...READ, what: command, path: "/db_command", body: JSON.stringify({ command, params }) };
}

export async function readObject({ response }: UpstreamAnswer): Promise<JsonRecord> {
  return asObject(await response.json());
}

/** With a bigint for every integer that a double can't hold. */
export async function readExactObject({ response }: UpstreamAnswer): Promise<JsonRecord> {
  return asObject(parseExactIntegers(await response.text()));
}

/**
 * Asks a command that servers before this version don't have.
 *
 * @throws RequestError as Upstream.ask; 503 that server is an older one.
 */
export async function askNewer(
  upstream: Upstream,
  command: string,
  params: JsonRecord,
  read = readObject,
): Promise<JsonRecord> {
  try {
    return await upstream.ask(readRequest(command, params), read);
  } catch (error) {
    if (!(error instanceof RequestError) || error.status !== 400) throw error;
    if (!error.message.startsWith(UNKNOWN_COMMAND)) throw error;
    throw olderUpstream(`it has no command ${command}`);
  }
}

export function olderUpstream(how: string): RequestError {
  return unavailable(`the upstream is an older server, ${how}: upgrade it first`);
}

/** @throws RequestError 503 the answer has no such list. */
export function listOf(answer: JsonRecord, member: string): unknown[] {
  const list = answer[member];
  if (Array.isArray(list)) return list;
  throw unavailable(`the upstream answered without ${member}`);
}

function asObject(body: unknown): JsonRecord {
  if (isObject(body)) return body;
  throw unavailable("the upstream answered with JSON that is no object");
}
