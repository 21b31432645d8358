/** A save as a command of a server. */
import { toWire } from "../../market/timestamp.ts";
import { type JsonRecord, rawNumber } from "../../protocol/json.ts";
import type { Count, Save } from "../contract.ts";

export interface SaveCommand {
  command: string;
  params: JsonRecord & { data: JsonRecord[] };
}

/** For JSON.stringify, which then writes all digits. */
export function saveCommand(save: Save): SaveCommand {
  const { ticker } = save;
  if (save.kind === "ticks") {
    const data = save.rows.map(([timestamp, price, size, ask_price, ask_size, seq]) => ({
      timestamp: toWire(timestamp),
      price,
      size: exact(size),
      ask_price,
      ask_size: exact(ask_size),
      ...(seq === null ? {} : { seq }),
    }));
    // The wire's word for the rule for ticks.
    const on_duplicate = save.onDuplicate === "append" ? "ignore" : save.onDuplicate;
    const params = { ticker, data_type: save.type, index_col: "timestamp", on_duplicate, data };
    return { command: "save_realtime_data", params };
  }
  const { interval, onDuplicate: on_duplicate } = save;
  const index_col = interval === "daily" ? "date" : "datetime";
  const data = save.rows.map(([stamp, open, high, low, close, volume]): JsonRecord => {
    const text = interval === "daily" ? stamp : toWire(stamp);
    return { [index_col]: text, open, high, low, close, volume: exact(volume) };
  });
  const params = { ticker, interval, index_col, on_duplicate, data };
  return { command: "save_stock_data", params };
}

/** JSON.stringify rounds what a double holds only nearly in 17 digits, such as 2^60. */
function exact(count: Count | null): unknown {
  if (typeof count === "string") return rawNumber(count);
  return count !== null &&
    Number.isInteger(count) &&
    !Number.isSafeInteger(count) &&
    Math.abs(count) < 2 ** 63
    ? rawNumber(String(BigInt(count)))
    : count;
}
