/**
 * The column `extra`: what a record brings beside the columns of its kind, as a JSON object.
 *
 * Whoever reads an answer of rows finds their ends by the beginning of the next one, which no text
 * can hold (answered-rows.ts). So objects in a list of an `extra` have two blanks before them.
 */
import { type JsonRecord, stringifyExact } from "../protocol/json.ts";

const OBJECT_IN_LIST = /\},\{(?="\w)/g;

/** As it is stored; null of no members. */
export function extraText(members: JsonRecord): string | null {
  for (const _ in members) return spaced(stringifyExact(members));
  return null;
}

/** As it stands in an answer. What users have stored there and is no JSON becomes a text. */
export function extraJson(stored: unknown): string {
  if (stored === null || stored === undefined) return "null";
  const text = String(stored);
  try {
    JSON.parse(text);
  } catch {
    return JSON.stringify(text);
  }
  return spaced(text);
}

/** A row whose last member is `extra`. */
export function rowWithExtra({ extra, ...row }: JsonRecord): string {
  return `${JSON.stringify(row).slice(0, -1)},"extra":${extraJson(extra)}}`;
}

function spaced(json: string): string {
  return json.includes("},{") ? json.replace(OBJECT_IN_LIST, "},  {") : json;
}
