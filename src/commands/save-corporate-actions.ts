import { ACTION_TYPES, type ActionType, BASES, firstSeqOf, PLACES } from "../market/corporate-actions.ts";
import { parseCalendarDate } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { CORPORATE_ACTION, realtimeFrame } from "../protocol/frames.ts";
import { foldNames, type JsonRecord } from "../protocol/json.ts";
import type { SaveRows } from "../storage/contract.ts";
import { KINDS, type SeriesRow, type SeriesValue } from "../storage/model/kinds.ts";
import { commitSave, type PreparedSave } from "./commit-save.ts";
import type { Command } from "./context.ts";
import { isMissing, requireTicker, show } from "./params.ts";
import { readReal, readStamp, requireRecords } from "./records.ts";
import { readIdentity } from "./request-identity.ts";
import { readOnDuplicate } from "./save-stock-data.ts";

const MISSING = "Missing 'ticker' or 'data' for save_corporate_actions";
const STAMP = KINDS.actions.stamp.name;
/** `7:1`, `3:2`: new for old. */
const NEW_FOR_OLD = /^\s*([\d.]+)\s*:\s*([\d.]+)\s*$/;

/** What a type may hold; `!` is required. */
const MEMBERS: Record<ActionType, Partial<Record<"ratio" | "cash" | "basis" | "new_ticker", "" | "!">>> = {
  split: { ratio: "!" },
  dividend: { cash: "!", basis: "" },
  spinoff: { ratio: "", cash: "", basis: "", new_ticker: "" },
  symbol_change: { new_ticker: "!" },
};

export const saveCorporateActions: Command = {
  name: "save_corporate_actions",
  scope: "write",
  about: "Stores splits, dividends, spin-offs and changes of the symbol of a ticker.",
  params: ["ticker", "data", "on_duplicate", "save_id"],
  async run(call, context) {
    const prepared = toSaveActions(call.params, readIdentity(call));
    const frame = realtimeFrame(prepared.save.ticker, CORPORATE_ACTION, prepared.records, STAMP);
    return commitSave(prepared, { frame, message: "Corporate actions saved successfully." }, call, context);
  },
};

/**
 * @param identity of `readIdentity`.
 * @throws RequestError 400 naming the place of the error.
 */
export function toSaveActions(
  params: Record<string, unknown>,
  identity: string | null = null,
): PreparedSave<SaveRows> {
  const { data } = params;
  if (isMissing(data)) throw badRequest(MISSING);
  const ticker = requireTicker(params.ticker, MISSING);
  if (!Array.isArray(data)) throw badRequest("'data' must be a non-empty list");
  const onDuplicate = readOnDuplicate(params.on_duplicate);
  // What an action may hold depends on its type.
  if (onDuplicate === "merge")
    throw badRequest('on_duplicate: got "merge", expected "replace", "ignore", "keep" or "error"');
  const records = requireRecords(data);
  const read = records.map((record, at) => readAction(foldNames(record), at));
  const rows = withSeqs(read);
  rows.sort((a, b) => (a[0] === b[0] ? Number(a.at(-1)) - Number(b.at(-1)) : a[0] < b[0] ? -1 : 1));
  return {
    save: { kind: "actions", ticker, part: null, rows, onDuplicate },
    records,
    sent: records.length,
    skipped: 0,
    identity,
  };
}

interface ReadAction {
  type: ActionType;
  /** The stamp and the values, in the kind's order. */
  cells: [stamp: string, ...values: SeriesValue[]];
  /** Null: it brings none. */
  seq: number | null;
}

function readAction(record: JsonRecord, at: number): ReadAction {
  const stamp = readStamp(parseCalendarDate, record, STAMP, at);
  if (stamp === null) throw expected(record, STAMP, at, "a date such as 2024-01-02");
  const type = readWord(record, "type", at, ACTION_TYPES);
  if (type === null) throw expected(record, "type", at, oneOf(ACTION_TYPES));
  const values = {
    ratio: readRatio(record, at),
    cash: readReal(record.cash, "cash", at),
    basis: readWord(record, "basis", at, BASES),
    new_ticker: readNewTicker(record, at),
  };
  for (const [name, value] of Object.entries(values) as [keyof typeof values, SeriesValue][]) {
    const rule = MEMBERS[type][name];
    if (value === null && rule === "!") throw expected(record, name, at, `one, as a ${type} has it`);
    if (value !== null && rule === undefined)
      throw badRequest(`data[${at}].${name}: got ${show(record[name])}, but a ${type} has no ${name}`);
  }
  if (values.cash !== null && values.cash < 0) throw expected(record, "cash", at, "0 or more");
  const { ratio, cash, basis, new_ticker } = values;
  return { type, cells: [stamp, type, ratio, cash, basis, new_ticker], seq: readSeq(record, at, type) };
}

/** Numbers, or new for old as text. */
function readRatio(record: JsonRecord, at: number): number | null {
  const { ratio } = record;
  const [, fresh, old] = typeof ratio === "string" ? (NEW_FOR_OLD.exec(ratio) ?? []) : [];
  const value = fresh === undefined ? readReal(ratio, "ratio", at) : Number(fresh) / Number(old);
  if (value === null || (value > 0 && Number.isFinite(value))) return value;
  throw expected(record, "ratio", at, 'a number above 0, new for old, such as 7 or "7:1"');
}

function readWord<T extends string>(
  record: JsonRecord,
  name: string,
  at: number,
  words: readonly T[],
): T | null {
  const value = record[name] ?? null;
  if (value === null) return null;
  const word = words.find((each) => each === value);
  if (word === undefined) throw expected(record, name, at, oneOf(words));
  return word;
}

function readNewTicker(record: JsonRecord, at: number): string | null {
  const { new_ticker: value } = record;
  if (value === undefined || value === null) return null;
  const ticker = requireTicker(value, `data[${at}].new_ticker: expected a ticker, got ${show(value)}`);
  // Not every engine can store it.
  if (ticker.includes("\0")) throw expected(record, "new_ticker", at, "text without a NUL character");
  return ticker;
}

/** As `get_corporate_actions` tells it. */
function readSeq(record: JsonRecord, at: number, type: ActionType): number | null {
  const { seq } = record;
  if (seq === undefined || seq === null) return null;
  const first = firstSeqOf(type);
  if (Number.isInteger(seq) && (seq as number) >= first && (seq as number) < first + PLACES)
    return seq as number;
  throw expected(record, "seq", at, `a whole number from ${first} to ${first + PLACES - 1} for a ${type}`);
}

/** Those without one get the first that no other action of the request has. */
function withSeqs(actions: ReadAction[]): SeriesRow[] {
  const taken = new Map<string, number>();
  for (const [at, { cells, seq }] of actions.entries()) {
    if (seq === null) continue;
    const key = `${cells[0]} ${seq}`;
    const other = taken.get(key);
    if (other !== undefined)
      throw badRequest(`data[${at}].seq: data[${other}] has the same ex_date and seq, expected each once`);
    taken.set(key, at);
  }
  const next = new Map<string, number>();
  return actions.map(({ type, cells, seq }, at) => {
    if (seq !== null) return [...cells, seq];
    const day = `${cells[0]} ${type}`;
    const first = firstSeqOf(type);
    let free = next.get(day) ?? first;
    while (taken.has(`${cells[0]} ${free}`)) free++;
    if (free >= first + PLACES)
      throw badRequest(`data[${at}]: expected at most ${PLACES} actions of one type and ex_date`);
    next.set(day, free + 1);
    return [...cells, free];
  });
}

function expected(record: JsonRecord, name: string, at: number, what: string): Error {
  return badRequest(`data[${at}].${name}: got ${show(record[name])}, expected ${what}`);
}

function oneOf(words: readonly string[]): string {
  const quoted = words.map((word) => JSON.stringify(word));
  return `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}
