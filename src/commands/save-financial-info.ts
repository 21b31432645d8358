import { parseCalendarDate, toWire } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { snapshotsFrame } from "../protocol/frames.ts";
import { foldNames, isObject, type JsonRecord } from "../protocol/json.ts";
import type { OnDuplicate, SaveRows } from "../storage/contract.ts";
import { type KindColumn, kindOf, type SeriesRow } from "../storage/model/kinds.ts";
import { commitSave, type PreparedSave } from "./commit-save.ts";
import type { Command } from "./context.ts";
import { isMissing, marketDate, requireTicker, show } from "./params.ts";
import { type RecordPlace, readStamp, readValue, requireRecords } from "./records.ts";
import { readIdentity } from "./request-identity.ts";
import { shownRecord, shownTicker } from "./shown-rows.ts";

const MISSING = "Missing 'ticker' or 'financial_data' for save_financial_info";
const { values } = kindOf("financial");

export const saveFinancialInfo: Command = {
  name: "save_financial_info",
  scope: "write",
  about: "Stores the financial figures of a ticker for a day; what isn't sent stays as it was.",
  params: ["ticker", "financial_data", "data", "on_duplicate", "save_id"],
  async run(call, context) {
    const prepared = toSaveFigures(
      call.params,
      marketDate(context.marketTimezone, Date.now()),
      readIdentity(call),
    );
    const { ticker, rows } = prepared.save;
    const frame = snapshotsFrame(ticker, "financial", toWire(rows.at(-1)![0]), prepared.records);
    const message = `Financial info saved successfully for ${shownTicker(call.params.ticker)}`;
    return commitSave(prepared, { frame, message }, call, context);
  },
};

/**
 * One row is completed from what is stored; rows of a list are stored as they are.
 *
 * @param today the date of figures that bring none.
 * @throws RequestError 400 naming the place of the error.
 */
export function toSaveFigures(
  params: Record<string, unknown>,
  today: string,
  identity: string | null = null,
): PreparedSave<SaveRows> {
  const { financial_data: figures, data } = params;
  const isList = isMissing(figures) && !isMissing(data);
  if (isMissing(figures) && !isList) throw badRequest(MISSING);
  const ticker = requireTicker(params.ticker, MISSING);
  if (!isList && !isObject(figures)) throw badRequest("'financial_data' must be a dictionary");
  if (isList && !Array.isArray(data)) throw badRequest("'data' must be a non-empty list");
  const onDuplicate = readOnDuplicate(params.on_duplicate, isList ? "replace" : "complete");
  const rows = isList
    ? requireRecords(data as unknown[]).map((record, index) => toRow(record, index, today))
    : [toRow(figures as JsonRecord, "financial_data", today)];
  if (onDuplicate === "complete" && rows.length > 1)
    throw badRequest(`on_duplicate: got "complete" and ${rows.length} rows, expected one row to complete`);
  const sorted = [...new Map(rows.map((row) => [row[0], row])).values()].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    save: { kind: "financial", ticker, part: null, rows: sorted, onDuplicate },
    records: sorted.map((row) => shownRecord("financial", row)),
    sent: rows.length,
    skipped: 0,
    doubled: { replaced: rows.length - sorted.length },
    identity,
  };
}

function toRow(sent: JsonRecord, place: RecordPlace, today: string): SeriesRow {
  const record = foldNames(sent);
  const date = readStamp(parseCalendarDate, record, "date", place) ?? today;
  return [date, ...values.map((column) => readFigure(column, record, place))];
}

function readFigure(column: KindColumn, record: JsonRecord, place: RecordPlace) {
  const value = readValue(column, record, place);
  const { alias } = column;
  return value === null && alias !== undefined ? readValue({ ...column, name: alias }, record, place) : value;
}

function readOnDuplicate(value: unknown, fallback: OnDuplicate): OnDuplicate {
  if (value === undefined || value === null || value === "ignore") return fallback;
  if (value === "replace" || value === "keep" || value === "error" || value === "complete") return value;
  throw badRequest(
    `on_duplicate: got ${show(value)}, expected "complete", "replace", "ignore", "keep" or "error"`,
  );
}
