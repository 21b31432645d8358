/**
 * The column `extra`: what a record brings beside the columns of its kind, as a JSON object.
 *
 * Whoever reads an answer of rows finds their ends by the beginning of the next one, which no text
 * can hold (answered-rows.ts). So objects in a list of an `extra` have two blanks before them.
 */
import { ID_MEMBERS, QUOTE_ALIASES } from "../market/tick-names.ts";
import { type JsonRecord, stringifyExact } from "../protocol/json.ts";
import { byKind, type KindName } from "./model/kinds.ts";

/** Names that are read in a record of the kind, or left out of it. */
const READ = byKind(({ part, stamp, values, computed, noun }) => {
  const names = [stamp.name, ...values.map(({ name }) => name), ...computed];
  const ofTicks = noun === "ticks" ? [...ID_MEMBERS, ...Object.values(QUOTE_ALIASES)] : [];
  return new Set(["ticker", ...(part === null ? [] : [part]), ...names, "write_timestamp", ...ofTicks]);
});

const OBJECT_IN_LIST = /\},\{(?="\w)/g;

/** As it is stored; null of no members. */
export function extraText(members: JsonRecord): string | null {
  for (const _ in members) return spaced(stringifyExact(members));
  return null;
}

/**
 * As members of a record that is saved: beside the columns, as clients send them, where no name
 * would be read as something else, and together under `extra` otherwise.
 */
export function extraAsMembers(kind: KindName, extra: JsonRecord): JsonRecord {
  const isReadOtherwise = ([name, value]: [string, unknown]): boolean =>
    READ[kind].has(name) || name !== name.toLowerCase() || name === "__proto__" || value === null;
  return Object.entries(extra).some(isReadOtherwise) ? { extra } : extra;
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
