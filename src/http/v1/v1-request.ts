/** Parameters of a request to /v1: in its URL, or as the JSON object of a POST. */
import { show } from "../../commands/params.ts";
import type { TableFormat } from "../../market-data/encode-table.ts";
import { badRequest } from "../../protocol/errors.ts";
import { parseAllIntegers } from "../../protocol/exact-integers.ts";
import { isObject, parseRequestJson } from "../../protocol/json.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { Call } from "../call.ts";
import { readBody } from "../request-body.ts";
import { FORMAT_TYPES } from "./format-types.ts";

/** Doubles hold every integer of 15 digits. Longer ones may lose some. */
const LONG_INTEGER = /\d{16}/;

/** @throws RequestError 400; of a body also 413, 415, 429 and 503 */
export async function readParameters(call: Call): Promise<Record<string, unknown>> {
  if (call.request.method !== "POST") return parametersOfUrl(call.query);
  const { bodies } = call.options;
  const share = bodies.share(call);
  let text: string;
  try {
    bodies.waiting++;
    text = await readBody(call, share);
  } finally {
    bodies.waiting--;
    share.release();
  }
  let body: unknown;
  try {
    body = LONG_INTEGER.test(text) ? parseRequestJson(text, parseAllIntegers) : parseRequestJson(text);
  } catch (error) {
    throw badRequest("Invalid JSON payload", messageOf(error));
  }
  return parametersOf(call.query, body);
}

/** Those of the URL and of the body of a POST. @throws RequestError 400 */
export function parametersOf(query: string, body: unknown): Record<string, unknown> {
  const inUrl = parametersOfUrl(query);
  if (!isObject(body)) throw badRequest(`body: got ${show(body)}, expected an object with parameters`);
  const twice = Object.keys(body).find((name) => Object.hasOwn(inUrl, name));
  if (twice !== undefined) throw badRequest(`${twice}: got it twice, in the URL and in the body`);
  return { ...inUrl, ...body };
}

/** @throws RequestError 400 */
export function parametersOfUrl(query: string): Record<string, unknown> {
  const parameters: Record<string, unknown> = Object.create(null);
  for (const [name, value] of new URLSearchParams(query)) {
    if (name in parameters) throw badRequest(`${name}: got it twice, expected it once`);
    // A form sends all of its fields.
    if (value !== "") parameters[name] = value;
  }
  return { ...parameters };
}

/** What the header asks for, by its weights; json where it names none of the formats. */
export function acceptedFormat(accept: string | null): TableFormat {
  if (accept === null) return "json";
  let best: TableFormat = "json";
  let bestWeight = 0;
  for (const part of accept.toLowerCase().split(",")) {
    const [type = "", ...params] = part.split(";").map((piece) => piece.trim());
    const format = FORMAT_TYPES.find(({ accepted }) => accepted.includes(type))?.format;
    const weight = Number(params.find((param) => param.startsWith("q="))?.slice(2) ?? 1);
    if (format !== undefined && weight > bestWeight) [best, bestWeight] = [format, weight];
  }
  return best;
}
