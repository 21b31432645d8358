/** The command that saves a batch of an import. */
import type { CorporateAction } from "../../market/corporate-actions.ts";
import { type CsvKind, isBars } from "../../market/csv.ts";
import type { ImportBatch } from "./batch-sender.ts";
import { isRowKind, type RowKindName } from "./row-columns.ts";
import type { SaveCommand } from "./target.ts";
import { COLUMN_ROWS_MIN } from "./tick-rows.ts";

const SAVES = {
  options: "save_options_data",
  financial: "save_financial_info",
  actions: "save_corporate_actions",
} as const;

export type DuplicateRule = "replace" | "keep" | "error" | "merge" | "append";
export const BARS_ON_DUPLICATE: readonly DuplicateRule[] = ["replace", "keep", "error", "merge"];
export const TICKS_ON_DUPLICATE: readonly DuplicateRule[] = ["append", "replace", "error", "keep"];

const ROWS_ON_DUPLICATE: Record<RowKindName, readonly DuplicateRule[]> = {
  options: ["replace", "keep"],
  financial: ["replace", "keep", "error"],
  actions: ["replace", "keep", "error"],
};

/** The rules that files of the kind may have. */
export function onDuplicateOf(kind: CsvKind | RowKindName): readonly DuplicateRule[] {
  if (isRowKind(kind)) return ROWS_ON_DUPLICATE[kind];
  return isBars(kind) ? BARS_ON_DUPLICATE : TICKS_ON_DUPLICATE;
}

/** What an import takes from columns of bars. */
export function toActionsCommand(
  ticker: string,
  actions: readonly CorporateAction[],
  onDuplicate: DuplicateRule | null,
): SaveCommand {
  const data = actions.map(({ exDate, type, ratio, cash }) => {
    const value = type === "split" ? { ratio } : { cash };
    return { ex_date: exDate, type, ...value };
  });
  // Bars are merged by their columns; an action is one thing.
  const rule = onDuplicate === null || onDuplicate === "merge" ? {} : { on_duplicate: onDuplicate };
  return { command: "save_corporate_actions", params: { ticker, data, ...rule } };
}

/** @param importId Tells requests that are sent again, where nothing else does. */
export function toCommand(
  batch: ImportBatch,
  onDuplicate: DuplicateRule | null,
  importId: string,
): SaveCommand {
  const { ticker, isBars: areBars, rowKind, part, isPlaced, rows, places, firstRow } = batch;
  const shared = { ticker, ...(onDuplicate === null ? {} : { on_duplicate: onDuplicate }) };
  if (rowKind !== null) return { command: SAVES[rowKind], params: { ...shared, data: rows.records() } };
  if (areBars) {
    const data = rows.records();
    const params = { ...shared, data, interval: part, index_col: part === "daily" ? "date" : "datetime" };
    return { command: "save_stock_data", params };
  }
  const params = { ...shared, data_type: part, index_col: "timestamp", ...identityOf() };
  const isPlain = onDuplicate !== "append" && !isPlaced && rows.length >= COLUMN_ROWS_MIN;
  const columns = isPlain ? rows.columns() : null;
  if (columns !== null) return { command: "save_realtime_data", params, columns };
  return { command: "save_realtime_data", params: { ...params, data: rows.records() } };

  /** What tells equal ticks apart, and a request that is repeated. */
  function identityOf(): Record<string, unknown> {
    if (onDuplicate === "append") return { save_id: `${importId}-${firstRow}` };
    return isPlaced ? { places } : { occurrences: places };
  }
}
