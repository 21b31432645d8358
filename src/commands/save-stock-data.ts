import { badRequest } from "../protocol/errors.ts";
import { barsFrame } from "../protocol/frames.ts";
import { foldNames, isObject, type JsonRecord } from "../protocol/json.ts";
import type { OnDuplicate, SaveRows } from "../storage/contract.ts";
import { KINDS, partName, type RowKind } from "../storage/model/kinds.ts";
import { withRecords } from "./arrow-params.ts";
import { BarReader, namesShown } from "./bar-reader.ts";
import { commitSave, type PreparedSave } from "./commit-save.ts";
import type { Command } from "./context.ts";
import { isMissing, requireInterval, requireTicker, show } from "./params.ts";
import { hasMember, requireRecords } from "./records.ts";
import { readIdentity } from "./request-identity.ts";
import { StagedRecords } from "./staged-records.ts";

/** Characters of a column's name in an error. */
const COLUMN_SHOWN_MAX = 100;
const MISSING = "Missing params for save_stock_data";

export const saveStockData: Command = {
  name: "save_stock_data",
  scope: "write",
  about: "Stores bars of one length; daily bars get their moving averages.",
  params: ["ticker", "data", "index_col", "interval", "on_duplicate", "save_id"],
  tolerated: ["ma_periods", "ema_periods"],
  takesArrow: true,
  async run(call, context) {
    const prepared = toSaveBars(withRecords(call), readIdentity(call));
    const frame = frameOf(prepared, String(call.params.index_col).toLowerCase());
    return commitSave(prepared, { frame, message: "Aggregated data saved successfully." }, call, context);
  },
};

/** It tells the length and the stamp of the bars where their records don't. */
function frameOf({ save, records }: PreparedSave<SaveRows>, stampColumn: string): string {
  const { ticker, kind, part } = save;
  const shown = namesShown(records.map(foldNames), part);
  const interval = part === null && shown?.kind !== kind ? kind : part;
  const names = shown?.stampColumn === stampColumn ? {} : { index_col: stampColumn };
  return barsFrame(ticker, records, interval, names);
}

/**
 * @param identity of `readIdentity`.
 * @throws RequestError 400 naming the place of the error, 409 a key that two records have.
 */
export function toSaveBars(
  params: Record<string, unknown>,
  identity: string | null = null,
): PreparedSave<SaveRows> {
  const { data, index_col: indexColumn } = params;
  if (
    isMissing(data) ||
    isMissing(indexColumn) ||
    (params.interval !== undefined && isMissing(params.interval))
  ) {
    throw badRequest(MISSING);
  }
  const ticker = requireTicker(params.ticker, MISSING);
  const { kind, part } = requireInterval(params.interval);
  const { stamp: stampColumn, values }: RowKind = KINDS[kind];
  const onDuplicate = readOnDuplicate(params.on_duplicate);
  if (!Array.isArray(data)) throw badRequest("'data' must be a non-empty list");
  const index = indexName(indexColumn, data, (shown) => `Index column '${shown}' not found`);
  const sent = requireRecords(data);
  const folded = sent.map(foldNames);
  if (index !== stampColumn.name && hasMember(folded, stampColumn.name)) {
    throw badRequest(
      `index_col: got ${show(indexColumn)}, but the rows also have a column '${stampColumn.name}'; expected one of them`,
    );
  }
  const plain = values.filter(({ onRequest }) => !onRequest).map(({ name }) => name);
  if (!plain.some((name) => hasMember(folded, name))) {
    const names = plain.join(", ");
    throw badRequest(`data: expected at least one of the columns ${names}`);
  }
  const reader = new BarReader(kind, index);
  const staged = new StagedRecords(onDuplicate, `save_stock_data: ${ticker} ${partName(kind, part)}`);
  const records: JsonRecord[] = [];
  for (let i = 0; i < folded.length; i++) {
    const record = folded[i]!;
    const row = reader.row(record, i);
    if (row === null) continue;
    staged.add(row, () => reader.missingOf(record, row));
    records.push(sent[i]!);
  }
  if (records.length === 0)
    throw badRequest(`data: no row has a date in its column '${index}'; nothing was saved`);
  return {
    save: { kind, ticker, part, ...staged.rows(), onDuplicate },
    records,
    sent: sent.length,
    skipped: folded.length - records.length,
    doubled: staged.doubled(records.length),
    identity,
  };
}

/** The Python client sends "ignore" but expects updates of a bar: see docs/compatibility.md. */
export function readOnDuplicate(value: unknown): OnDuplicate {
  if (value === undefined || value === null || value === "replace" || value === "ignore") return "replace";
  if (value === "keep" || value === "merge" || value === "error") return value;
  throw badRequest(
    `on_duplicate: got ${show(value)}, expected "replace", "ignore", "keep", "merge" or "error"`,
  );
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
  const found = data.some((record) => isObject(record) && Object.hasOwn(record, name));
  if (!found) {
    if (data.every((record) => record === null || typeof record === "number")) requireRecords(data);
    throw badRequest(notFound(name.length > COLUMN_SHOWN_MAX ? `${name.slice(0, COLUMN_SHOWN_MAX)}…` : name));
  }
  return name.toLowerCase();
}
