/** What differs between two outcomes of a step, in words. */
import { isObject, type Json, type JsonObject } from "./json.ts";

/** What a step brought: an HTTP answer, or what happened on a WebSocket. */
export type Outcome = JsonObject;

export interface Leniency {
  /** Must be there on both sides; only the shape of a stamp is compared. */
  volatile?: string[] | undefined;
  /** Not compared at all. */
  ignored?: string[] | undefined;
}

/** Members that only `got` has are fine at the top: an expectation says what it cares about. */
export function compareOutcomes(expected: Outcome, got: Outcome, leniency: Leniency = {}): string[] {
  const want = structuredClone(expected);
  const have = structuredClone(got);
  for (const outcome of [want, have]) {
    for (const path of leniency.volatile ?? [])
      visit(outcome, path, (owner, key) => maskVolatile(owner, key));
    for (const path of leniency.ignored ?? []) visit(outcome, path, (owner, key) => delete owner[key]);
  }
  allowHelpOnErrors(want, have);
  const wrongCounts = takeOutCounts(want, have);
  return [...wrongCounts, ...Object.keys(want).flatMap((key) => compareJson(want[key], have[key], key))];
}

/** `/health` tells them beside what was recorded. */
const OF_HEALTH = ["requests_known_since", "disk", "hub", "reasons"];
const COUNTS = ["stored", "replaced", "repeated", "skipped"];

/** A save tells what became of its rows. @returns what is wrong with that. */
function takeOutCounts(want: Outcome, have: Outcome): string[] {
  const { body } = have;
  if (isObject(body) && isObject(want.body) && "database" in body)
    for (const name of OF_HEALTH) if (!(name in want.body)) delete body[name];
  if (!isObject(body) || !isObject(want.body) || !("rows" in body) || "rows" in want.body) return [];
  const { rows, seq, epoch, ...others } = body;
  const counted = COUNTS.reduce((sum, name) => sum + Number(others[name]), 0);
  for (const name of COUNTS) delete others[name];
  have.body = others;
  const isPlaced = seq === null || Number(seq) > 0;
  return counted === Number(rows) && isPlaced && typeof epoch === "string"
    ? []
    : [`body: counts that don't add up, or no position: ${print(body)}`];
}

/** Numbers by value, objects without order. */
export function compareJson(expected: Json | undefined, got: Json | undefined, path: string): string[] {
  if (Array.isArray(expected) && Array.isArray(got)) {
    if (expected.length !== got.length) {
      return [
        `${path}: expected ${expected.length} items, got ${got.length}: ${print(expected)} / ${print(got)}`,
      ];
    }
    return expected.flatMap((item, i) => compareJson(item, got[i], `${path}[${i}]`));
  }
  if (isObject(expected) && isObject(got)) {
    const keys = new Set([...Object.keys(expected), ...Object.keys(got)]);
    return [...keys].flatMap((key) => compareJson(expected[key], got[key], `${path}.${key}`));
  }
  if (expected === got) return [];
  const bothNumbers = isNumber(expected) && isNumber(got);
  // 9007199254740993n and 9007199254740992 differ, 100 and 100.0 don't.
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint equals a number only in the loose comparison.
  if (bothNumbers && expected == got) return [];
  return [`${path}: expected ${print(expected)}, got ${print(got)}`];
}

/** Sets or removes what stands at a path like `body.data[*].price`. */
export function visit(root: JsonObject, path: string, act: (owner: JsonObject, key: string) => void): void {
  const [first = "", ...others] = path.replaceAll("[*]", ".*").split(".");
  visitFrom(root, first, others, act);
}

function visitFrom(
  at: Json | undefined,
  key: string,
  others: string[],
  act: (owner: JsonObject, key: string) => void,
): void {
  if (key === "*") {
    const [next = "", ...rest] = others;
    if (Array.isArray(at)) for (const item of at) visitFrom(item, next, rest, act);
    return;
  }
  if (!isObject(at)) return;
  const [next, ...rest] = others;
  if (next !== undefined) visitFrom(at[key], next, rest, act);
  else if (key in at) act(at, key);
}

function maskVolatile(owner: JsonObject, key: string): void {
  const value = owner[key];
  const isStamp = typeof value === "string" && /^\d{4}-\d\d-\d\d/.test(value);
  owner[key] = isStamp ? value.replace(/\d+/g, "0") : `<${typeof value}>`;
}

/** An error may say more than the recorded one: `details` and `hint` help and break nobody. */
function allowHelpOnErrors(want: Outcome, have: Outcome): void {
  if (Number(want.status) < 400 || !isObject(want.body) || !isObject(have.body)) return;
  for (const help of ["details", "hint"]) if (!(help in want.body)) delete have.body[help];
}

function isNumber(value: Json | undefined): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

const PRINTED_CHARS_MAX = 400;

function print(value: Json | undefined): string {
  const text = value === undefined ? "nothing" : Bun.inspect(value, { compact: true, depth: 4 });
  return text.length > PRINTED_CHARS_MAX ? `${text.slice(0, PRINTED_CHARS_MAX)}…` : text;
}
