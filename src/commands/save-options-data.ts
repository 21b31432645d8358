import { optionBucket } from "../market/option-bucket.ts";
import { isStorable } from "../market/storable-text.ts";
import { parseTimestamp, toWire } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { snapshotsFrame } from "../protocol/frames.ts";
import { foldNames, type JsonRecord } from "../protocol/json.ts";
import type { SaveRows } from "../storage/contract.ts";
import { KINDS, type SeriesRow } from "../storage/model/kinds.ts";
import { commitSave, type PreparedSave } from "./commit-save.ts";
import type { Command } from "./context.ts";
import { isMissing, requireTicker, show } from "./params.ts";
import { readStamp, readValue, requireRecords } from "./records.ts";
import { readIdentity } from "./request-identity.ts";
import { shownRecord, shownTicker } from "./shown-rows.ts";

const MISSING = "Missing 'ticker' or 'data' for save_options_data";
const REQUIRED = ["option_ticker", "expiration_date"];
/** Other names of columns. */
const ALIASES = { expiration: "expiration_date", strike: "strike_price", type: "option_type" };
const OPTION_TYPES: Record<string, string> = { call: "call", c: "call", put: "put", p: "put" };
export const OPTION_TICKER_LENGTH_MAX = 64;
/** Of the columns in an error: how many, and characters of each. */
const COLUMNS_SHOWN_MAX = 50;
const COLUMN_SHOWN_MAX = 100;

const { stamp, values, part: PART } = KINDS.options;

export const saveOptionsData: Command = {
  name: "save_options_data",
  scope: "write",
  about: "Stores snapshots of option contracts of a ticker, many contracts at once.",
  params: ["ticker", "data", "index_col", "on_duplicate", "save_id"],
  async run(call, context) {
    const prepared = toSaveOptions(call.params, Date.now(), readIdentity(call));
    const { ticker, rows } = prepared.save;
    const newest = rows
      .map(([at]) => at)
      .sort()
      .at(-1)!;
    const frame = snapshotsFrame(ticker, "option", toWire(newest), prepared.records);
    const message = `Options data saved successfully for ${shownTicker(call.params.ticker)}`;
    return commitSave(prepared, { frame, message }, call, context);
  },
};

/** @throws RequestError 400 naming the place of the error. */
export function toSaveOptions(
  params: Record<string, unknown>,
  nowMs: number,
  identity: string | null = null,
): PreparedSave<SaveRows> {
  const { data, index_col: indexColumn } = params;
  if (isMissing(data)) throw badRequest(MISSING);
  const ticker = requireTicker(params.ticker, MISSING);
  const onDuplicate = readOnDuplicate(params.on_duplicate);
  if (!Array.isArray(data)) throw badRequest("'data' must be a non-empty list");
  const sent = requireRecords(data);
  const records = sent.map(canonicalNames);
  checkColumns(new Set(records.flatMap((record) => Object.keys(record))), sent, indexColumn);
  const bucket = optionBucket(nowMs);
  const found = new Map<string, { part: string; row: SeriesRow }>();
  for (const [index, record] of records.entries()) {
    const part = readContract(record, index);
    const at = readStamp(parseTimestamp, record, stamp.name, index) ?? bucket;
    const row: SeriesRow = [at, ...values.map((column) => readValue(column, record, index))];
    if (row[1] === null)
      throw badRequest(
        `data[${index}].expiration_date: got ${show(record.expiration_date)}, expected a date`,
      );
    const key = `${part}\0${at}`;
    if (onDuplicate === "replace" || !found.has(key)) found.set(key, { part, row });
  }
  const sorted = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  return {
    save: {
      kind: "options",
      ticker,
      part: null,
      parts: sorted.map(({ part }) => part),
      rows: sorted.map(({ row }) => row),
      onDuplicate,
    },
    records: sorted.map(({ part, row }) => ({ [PART]: part, ...shownRecord("options", row) })),
    sent: sent.length,
    skipped: 0,
    doubled: { [onDuplicate === "keep" ? "skipped" : "replaced"]: sent.length - sorted.length },
    identity,
  };
}

/** Under the names of the columns; a column's own name counts before another name of it. */
function canonicalNames(record: JsonRecord): JsonRecord {
  const named = { ...foldNames(record) };
  for (const [alias, name] of Object.entries(ALIASES)) {
    if (!Object.hasOwn(named, alias)) continue;
    named[name] ??= named[alias];
    delete named[alias];
  }
  return named;
}

function checkColumns(names: ReadonlySet<string>, sent: JsonRecord[], indexColumn: unknown): void {
  const missing = REQUIRED.filter((name) => !names.has(name));
  if (missing.length > 0)
    throw badRequest(
      `Missing required columns: ${listed(missing)}. Available columns: ${listed(namesOf(sent))}`,
    );
  if (indexColumn === undefined || indexColumn === null) return;
  const index = String(indexColumn).toLowerCase();
  const name = ALIASES[index as keyof typeof ALIASES] ?? index;
  if (!names.has(name))
    throw badRequest(`Index column '${String(indexColumn).slice(0, COLUMN_SHOWN_MAX)}' not found`);
}

function namesOf(records: JsonRecord[]): string[] {
  return [...new Set(records.flatMap((record) => Object.keys(foldNames(record))))];
}

/** As the Python server printed a list. */
function listed(names: string[]): string {
  const shown = names.slice(0, COLUMNS_SHOWN_MAX).map((name) => `'${name.slice(0, COLUMN_SHOWN_MAX)}'`);
  return `[${shown.join(", ")}${names.length > COLUMNS_SHOWN_MAX ? ", …" : ""}]`;
}

function readContract(record: JsonRecord, index: number): string {
  const { option_ticker: contract, option_type: type } = record;
  if (!isContract(contract))
    throw badRequest(
      `data[${index}].option_ticker: got ${show(contract)}, expected the name of a contract, at most ${OPTION_TICKER_LENGTH_MAX} characters`,
    );
  if (type === "") record.option_type = null;
  else if (type !== undefined && type !== null) {
    const known = readOptionType(type);
    if (known === null)
      throw badRequest(`data[${index}].option_type: got ${show(type)}, expected "call" or "put"`);
    record.option_type = known;
  }
  return contract;
}

export function isContract(value: unknown): value is string {
  return (
    typeof value === "string" && value !== "" && value.length <= OPTION_TICKER_LENGTH_MAX && isStorable(value)
  );
}

/** @returns null for another word. */
export function readOptionType(value: unknown): string | null {
  if (typeof value !== "string") return null;
  const word = value.trim().toLowerCase();
  return Object.hasOwn(OPTION_TYPES, word) ? OPTION_TYPES[word]! : null;
}

function readOnDuplicate(value: unknown): "replace" | "keep" {
  if (value === undefined || value === null || value === "replace" || value === "ignore") return "replace";
  if (value === "keep") return value;
  throw badRequest(`on_duplicate: got ${show(value)}, expected "replace", "ignore" or "keep"`);
}
