/** Asks commands that read, and checks answers that are parsed. */
import { STATUS } from "../../protocol/codes.ts";
import { hasStatus, type RequestError, unavailable, wrongUpstream } from "../../protocol/errors.ts";
import { parseExactIntegers } from "../../protocol/exact-integers.ts";
import { isText, type JsonRecord } from "../../protocol/json.ts";
import { readJsonObject } from "./answer-body.ts";
import type { Upstream, UpstreamAnswer, UpstreamRequest } from "./upstream.ts";

const READ_TIMEOUT_MS = 30_000;
export const READ = { repeatable: true, effect: "", long: false, timeoutMs: READ_TIMEOUT_MS };

const SHOWN_CHARACTERS = 80;
const UNKNOWN_COMMAND = "Unknown command";

export function readRequest(command: string, params: JsonRecord): UpstreamRequest {
  // A client is warned by the server that it asks.
  const body = JSON.stringify({ command, params: { ...params, warnings: false } });
  return { ...READ, what: command, path: "/db_command", body };
}

export function readObject({ response, parsedBytesMax }: UpstreamAnswer): Promise<JsonRecord> {
  return readJsonObject(response, parsedBytesMax);
}

/** Integers that a double can't hold become bigints. */
export function readExactObject({ response, parsedBytesMax }: UpstreamAnswer): Promise<JsonRecord> {
  return readJsonObject(response, parsedBytesMax, parseExactIntegers);
}

/**
 * Asks a command that older servers lack.
 *
 * @throws RequestError as Upstream.ask; 503 the server is older.
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
    throw ofOlderServer(error, command);
  }
}

/** What a server that doesn't know the command has answered says so; other errors stay. */
export function ofOlderServer(error: unknown, command: string): unknown {
  const isUnknown = hasStatus(error, STATUS.badRequest) && error.message.startsWith(UNKNOWN_COMMAND);
  return isUnknown ? olderUpstream(`it has no command ${command}`) : error;
}

export function olderUpstream(how: string): RequestError {
  return unavailable(`the upstream is an older server, ${how}: upgrade it first`);
}

/** @throws RequestError 502 the member is missing or wrong. */
export function memberOf<T>(
  answer: JsonRecord,
  member: string,
  isRight: (value: unknown) => value is T,
  what: string,
): T {
  const value = Object.hasOwn(answer, member) ? answer[member] : undefined;
  if (isRight(value)) return value;
  const shown = (JSON.stringify(value) ?? "nothing").slice(0, SHOWN_CHARACTERS);
  throw wrongUpstream(`the upstream answered ${what}: ${member} is ${shown}`);
}

/** @throws RequestError 502 as memberOf. */
export function textsOf(answer: JsonRecord, member: string, what: string): string[] {
  return memberOf(answer, member, isTexts, what);
}

export const isPosition = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
export const isPrice = (value: unknown): value is number | null =>
  value === null || typeof value === "number";
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);
