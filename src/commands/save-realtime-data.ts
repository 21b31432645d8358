import { parseTimestamp } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { isReservedType, realtimeFrame } from "../protocol/frames.ts";
import { foldNames, type JsonRecord } from "../protocol/json.ts";
import type { SaveTicks, TickRow } from "../storage/contract.ts";
import { commitSave, type PreparedSave } from "./commit-save.ts";
import type { Command } from "./context.ts";
import { isMissing, readDataType, requireTicker, show } from "./params.ts";
import { hasMember, readCount, readReal, readStamp, requireRecords } from "./records.ts";
import { indexName } from "./save-stock-data.ts";

const MISSING = "Missing params for save_realtime_data";
const REQUIRED_COLUMNS = ["price", "size"];
const SEQ_MAX = 2 ** 31;

export const saveRealtimeData: Command = {
  name: "save_realtime_data",
  about: "Stores ticks: quotes, trades, or any other type.",
  params: ["ticker", "data", "index_col", "data_type", "on_duplicate"],
  tolerated: ["ma_periods", "ema_periods"],
  async run(call, context) {
    const prepared = toSaveTicks(call.params);
    const { ticker, part: type } = prepared.save;
    const stampColumn = String(call.params.index_col).toLowerCase();
    const frame = realtimeFrame(ticker, type, prepared.records, stampColumn);
    const message = `Realtime data (${type}) for ${shownTicker(call.params.ticker)} saved successfully.`;
    return commitSave(prepared, { frame, message }, call, context);
  },
};

/** @throws RequestError 400 naming the place of the error. */
export function toSaveTicks(params: Record<string, unknown>): PreparedSave<SaveTicks> {
  const { data, index_col: indexColumn } = params;
  if (
    isMissing(data) ||
    isMissing(indexColumn) ||
    (params.data_type !== undefined && isMissing(params.data_type))
  ) {
    throw badRequest(MISSING);
  }
  const ticker = requireTicker(params.ticker, MISSING);
  const type = readDataType(params.data_type);
  if (isReservedType(type)) {
    throw badRequest(
      `data_type: got ${show(type)}, which stands for something else in live updates; expected a name such as "quote" or "trade"`,
    );
  }
  const onDuplicate = readOnDuplicate(params.on_duplicate);
  if (!Array.isArray(data)) throw badRequest("'data' must be a non-empty list of records for realtime save");
  const index = indexName(
    indexColumn,
    data,
    (shown) => `Index column '${shown}' not found for realtime data`,
  );
  const sent = requireRecords(data);
  const folded = sent.map(foldNames);
  if (index !== "timestamp" && hasMember(folded, "timestamp")) {
    throw badRequest(
      `index_col: got ${show(indexColumn)}, but the rows also have a column 'timestamp'; expected one of them`,
    );
  }
  for (const column of REQUIRED_COLUMNS) {
    if (!hasMember(folded, column)) {
      throw badRequest(
        `data: the rows have no column '${column}'; expected price and size, null where there is none`,
      );
    }
  }
  const rows: TickRow[] = [];
  const records: JsonRecord[] = [];
  for (let i = 0; i < folded.length; i++) {
    const record = folded[i]!;
    const stamp = readStamp(parseTimestamp, record, index, i);
    if (stamp === null) continue;
    rows.push([
      stamp,
      readReal(record.price, "price", i),
      readCount(record.size, "size", i),
      readReal(record.ask_price, "ask_price", i),
      readCount(record.ask_size, "ask_size", i),
      readSeq(record.seq, i),
    ]);
    records.push(sent[i]!);
  }
  if (rows.length === 0)
    throw badRequest(`data: no row has a stamp in its column '${index}'; nothing was saved`);
  return {
    save: { kind: "ticks", ticker, part: type, rows, onDuplicate },
    records,
    skipped: sent.length - rows.length,
  };
}

function readSeq(value: unknown, row: number): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < SEQ_MAX) return value;
  throw badRequest(`data[${row}].seq: got ${show(value)}, expected a whole number from 0 to ${SEQ_MAX - 1}`);
}

/** All but "replace" and "error" follow the rule for ticks: see docs/compatibility.md. */
function readOnDuplicate(value: unknown): SaveTicks["onDuplicate"] {
  if (value === undefined || value === null || value === "ignore" || value === "keep") return "append";
  if (value === "replace" || value === "error") return value;
  throw badRequest(`on_duplicate: got ${show(value)}, expected "replace", "ignore", "keep" or "error"`);
}

/** As the Python server printed it. */
function shownTicker(ticker: unknown): string {
  return ticker === true ? "True" : String(ticker);
}
