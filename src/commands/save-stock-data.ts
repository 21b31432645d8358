import { parseCalendarDate, parseTimestamp, toHourly } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { barsFrame } from "../protocol/frames.ts";
import { foldNames, type JsonRecord } from "../protocol/json.ts";
import type { BarRow, OnDuplicate, SaveRows } from "../storage/contract.ts";
import { commitSave } from "./commit-save.ts";
import type { Command } from "./context.ts";
import { isMissing, requireInterval, requireTicker, show } from "./params.ts";
import { hasMember, readCount, readReal, readStamp, requireRecords } from "./records.ts";

/** Characters of a column's name in an error. */
const COLUMN_SHOWN_MAX = 100;
const MISSING = "Missing params for save_stock_data";
const VALUE_COLUMNS = ["open", "high", "low", "close", "volume"];

export interface PreparedSave<S> {
  save: S;
  /** The stored records, exactly as sent, for subscribers. */
  records: JsonRecord[];
  /** Records without a stamp, which can't be stored. */
  skipped: number;
}

export const saveStockData: Command = {
  name: "save_stock_data",
  about: "Stores daily or hourly bars; daily bars get their moving averages.",
  async run(call, context) {
    const prepared = toSaveBars(call.params);
    const frame = barsFrame(prepared.save.ticker, prepared.records);
    return commitSave(prepared, { frame, message: "Aggregated data saved successfully." }, call, context);
  },
};

/** @throws RequestError 400 naming the place of the error. */
export function toSaveBars(params: Record<string, unknown>): PreparedSave<SaveRows> {
  const { data, index_col: indexColumn } = params;
  if (
    isMissing(data) ||
    isMissing(indexColumn) ||
    (params.interval !== undefined && isMissing(params.interval))
  ) {
    throw badRequest(MISSING);
  }
  const ticker = requireTicker(params.ticker, MISSING);
  const interval = requireInterval(params.interval);
  const onDuplicate = readOnDuplicate(params.on_duplicate);
  if (!Array.isArray(data)) throw badRequest("'data' must be a non-empty list");
  const stampName = interval === "daily" ? "date" : "datetime";
  const index = indexName(indexColumn, data, (shown) => `Index column '${shown}' not found`);
  const sent = requireRecords(data);
  const folded = sent.map(foldNames);
  if (index !== stampName && hasMember(folded, stampName)) {
    throw badRequest(
      `index_col: got ${show(indexColumn)}, but the rows also have a column '${stampName}'; expected one of them`,
    );
  }
  if (!VALUE_COLUMNS.some((name) => hasMember(folded, name))) {
    throw badRequest(`data: expected at least one of the columns ${VALUE_COLUMNS.join(", ")}`);
  }
  const parse = interval === "daily" ? parseCalendarDate : parseHour;
  const byStamp = new Map<string, BarRow>();
  const records: JsonRecord[] = [];
  let ascending = true;
  let last = "";
  for (let i = 0; i < folded.length; i++) {
    const record = folded[i]!;
    const stamp = readStamp(parse, record, index, i);
    if (stamp === null) continue;
    byStamp.set(stamp, [
      stamp,
      readReal(record.open, "open", i),
      readReal(record.high, "high", i),
      readReal(record.low, "low", i),
      readReal(record.close, "close", i),
      readCount(record.volume, "volume", i),
    ]);
    records.push(sent[i]!);
    if (stamp < last) ascending = false;
    last = stamp;
  }
  if (byStamp.size === 0)
    throw badRequest(`data: no row has a date in its column '${index}'; nothing was saved`);
  const rows = [...byStamp.values()];
  if (!ascending) rows.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  return {
    save: { kind: interval, ticker, part: null, rows, onDuplicate },
    records,
    skipped: folded.length - records.length,
  };
}

function parseHour(value: unknown): string | null {
  const stamp = parseTimestamp(value);
  return stamp === null ? null : toHourly(stamp);
}

/** The Python client sends "ignore" but expects updates of a bar: see docs/compatibility.md. */
function readOnDuplicate(value: unknown): OnDuplicate {
  if (value === undefined || value === null || value === "replace" || value === "ignore") return "replace";
  if (value === "keep" || value === "error") return value;
  throw badRequest(`on_duplicate: got ${show(value)}, expected "replace", "ignore", "keep" or "error"`);
}

/** @returns the lower-case name. @throws RequestError 400 when no record has the column. */
export function indexName(
  indexColumn: unknown,
  data: unknown[],
  notFound: (shown: string) => string,
): string {
  if (typeof indexColumn === "object") {
    throw badRequest(`index_col: got ${show(indexColumn)}, expected the name of a column`);
  }
  const name = indexColumn === true ? "True" : String(indexColumn);
  const found = data.some(
    (record) => typeof record === "object" && record !== null && !Array.isArray(record) && name in record,
  );
  if (!found) {
    if (data.every((record) => record === null || typeof record === "number")) requireRecords(data);
    throw badRequest(notFound(name.length > COLUMN_SHOWN_MAX ? `${name.slice(0, COLUMN_SHOWN_MAX)}…` : name));
  }
  return name.toLowerCase();
}
