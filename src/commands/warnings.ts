/**
 * Parameters that a command doesn't know are most often misnamed, and what was meant by them has no
 * effect. The answer says so in `warnings`, and names the nearest; with `strict` it is 400.
 */
import { nearest } from "../config/nearest.ts";
import { atClientsPace } from "../protocol/clients-pace.ts";
import { STATUS } from "../protocol/codes.ts";
import { badRequest, hasStatus } from "../protocol/errors.ts";
import type { StockReader } from "../storage/contract.ts";
import type { Answer, Command, CommandCall } from "./context.ts";
import { show } from "./params.ts";

/** One answer tells of so many; one more says how many there are. */
const WARNINGS_MAX = 10;
/** No name is longer, and it takes time to compare long ones. */
const NAME_LENGTH_MAX = 64;

/** Names that mean the same to people. A command takes at most one of a line. */
const ALIASES: readonly (readonly string[])[] = [
  ["start_date", "start_datetime", "start", "start_time", "from", "begin"],
  ["end_date", "end_datetime", "end", "end_time", "to", "until"],
  ["ticker", "tickers", "symbol", "symbols"],
  ["data_type", "kind", "type", "tick_type"],
  ["interval", "frequency", "freq", "timeframe", "resolution"],
  ["limit", "n", "count", "max_rows"],
  ["timezone", "tz", "time_zone"],
  ["index_col", "index", "index_column"],
  ["on_duplicate", "if_exists"],
  ["since", "seq", "position"],
  ["sql_query", "sql", "query", "statement"],
  ["query_params", "sql_params", "params", "args"],
];

/**
 * Every command takes them. `warnings: false` asks for none, as a server in front of this one does,
 * which warns its clients itself.
 */
const OF_ALL = ["strict", "warnings"];

const known = new Map<Command, ReadonlySet<string>>();

/** @returns null where all are known. A parameter that is null asks for nothing. */
export function unknownParams(command: Command, params: Record<string, unknown>): string[] | null {
  const names = knownOf(command);
  let unknown: string[] | null = null;
  for (const name in params) {
    if (names.has(name) || params[name] === null) continue;
    unknown ??= [];
    unknown.push(name);
  }
  return unknown === null ? null : wordsFor(command.name, unknown, command.params);
}

/** The same for the query of a URL. */
export function unknownInQuery(what: string, query: URLSearchParams, names: readonly string[]): string[] {
  return wordsFor(
    what,
    [...new Set(query.keys())].filter((name) => !names.includes(name)),
    names,
  );
}

/** @throws RequestError 400 */
export function readStrict(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === "boolean") return value;
  throw badRequest(`strict: got ${show(value)}, expected true or false`);
}

/** A parameter that a command misses has perhaps another name: an error says that too. */
export function withHints(error: unknown, warnings: readonly string[]): unknown {
  if (!hasStatus(error, STATUS.badRequest) || error.details !== undefined) return error;
  return badRequest(error.message, { details: warnings.join("; "), hint: error.hint });
}

/** What `strict` makes of warnings. */
export function refuseWarnings([first = "", ...others]: readonly string[]): Error {
  return badRequest(first, others.length === 0 ? {} : { details: others.join("; ") });
}

/** Warns where the ticker has no ticks of a type, but of one with nearly the same name. */
export async function warnOfType(
  { addWarning }: Pick<CommandCall, "addWarning">,
  reader: StockReader,
  { ticker, type, others = [] }: { ticker: string; type: string; others?: readonly string[] },
): Promise<void> {
  // Usual ones aren't misspelt, and are asked for before the first is saved.
  if (addWarning === null || type === "quote" || type === "trade" || type.length > NAME_LENGTH_MAX) return;
  const stored = await reader.parts("ticks", ticker);
  if (!stored.includes(type)) warnOfWord(addWarning, ticker, type, [...stored, ...others]);
}

export function warnOfWord(
  addWarning: CommandCall["addWarning"],
  ticker: string,
  type: string,
  types: readonly string[],
): void {
  const near = addWarning === null ? undefined : nearest(type, types);
  if (near !== undefined)
    addWarning?.(`data_type: no ${show(type)} of ${show(ticker)}, did you mean ${show(near)}?`);
}

/** An answer is a JSON object, which gets one more member, the first. */
export function withWarnings(body: Answer, warnings: readonly string[]): Answer {
  const head = `{"warnings":${JSON.stringify(warnings)},`;
  if (typeof body === "string") return head + body.slice(1);
  if (body instanceof Uint8Array) return Buffer.concat([Buffer.from(head), body.subarray(1)]);
  return withHead(Buffer.from(head), body);
}

function knownOf(command: Command): ReadonlySet<string> {
  let names = known.get(command);
  if (names === undefined) {
    names = new Set([...command.params, ...(command.tolerated ?? []), ...OF_ALL]);
    known.set(command, names);
  }
  return names;
}

function wordsFor(what: string, unknown: readonly string[], names: readonly string[]): string[] {
  const words = unknown.slice(0, WARNINGS_MAX).map((name) => {
    const meant = meantBy(name, names);
    const hint = meant === undefined ? `; it takes ${names.join(", ")}` : `, did you mean ${meant}?`;
    return `${show(name)} is no parameter of ${what}${hint}`;
  });
  const more = unknown.length - words.length;
  return more === 0 ? words : [...words, `${more} more are no parameters of ${what} either`];
}

function meantBy(name: string, names: readonly string[]): string | undefined {
  if (name.length > NAME_LENGTH_MAX) return undefined;
  const same = ALIASES.find((aliases) => aliases.includes(name.toLowerCase())) ?? [];
  return names.find((one) => same.includes(one)) ?? nearest(name, names);
}

/** @param head in place of the first byte. */
function withHead(head: Uint8Array, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let isFirst = true;
  return atClientsPace({
    async next() {
      const { value } = await reader.read();
      if (value === undefined) return null;
      if (!isFirst || value.length === 0) return value;
      isFirst = false;
      return Buffer.concat([head, value.subarray(1)]);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
