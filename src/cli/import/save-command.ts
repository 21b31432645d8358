/** The command that saves a batch of an import. */
import { isBars } from "../../market/csv.ts";
import type { Batch } from "./batch-sender.ts";
import type { SaveCommand } from "./target.ts";

export type OnDuplicate = "replace" | "keep" | "error" | "merge" | "append";
export const BARS_ON_DUPLICATE: readonly OnDuplicate[] = ["replace", "keep", "error", "merge"];
export const TICKS_ON_DUPLICATE: readonly OnDuplicate[] = ["append", "replace", "error", "keep"];

/** @param importId Tells requests that are sent again, where nothing else does. */
export function toCommand(batch: Batch, onDuplicate: OnDuplicate | null, importId: string): SaveCommand {
  const { ticker, kind, records: data, places, firstRow } = batch;
  const shared = { ticker, data, ...(onDuplicate === null ? {} : { on_duplicate: onDuplicate }) };
  if (isBars(kind)) {
    const params = { ...shared, interval: kind, index_col: kind === "daily" ? "date" : "datetime" };
    return { command: "save_stock_data", params };
  }
  return {
    command: "save_realtime_data",
    params: { ...shared, data_type: kind, index_col: "timestamp", ...identityOf() },
  };

  /** What tells equal ticks apart, and a request that is repeated. */
  function identityOf(): Record<string, unknown> {
    if (onDuplicate === "append") return { save_id: `${importId}-${firstRow}` };
    return onDuplicate === "replace" ? { places } : { occurrences: places };
  }
}
