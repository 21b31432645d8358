/** How tables stand in JSON: by ticker, with the short names of Alpaca's market data API. */
import type { FormatColumn } from "../formats/format-columns.ts";
import type { JsonForm, JsonMember } from "../formats/json.ts";
import { columnNamed, type MarketTable } from "./answer-columns.ts";

/** A row without such a value says so with null. Others are left out. */
const SHOWN: Record<MarketTable, ReadonlySet<string>> = {
  bars: new Set(["timestamp", "open", "high", "low", "close", "volume"]),
  trades: new Set(["timestamp", "price", "size"]),
  quotes: new Set(["timestamp", "bid_price", "bid_size", "ask_price", "ask_size"]),
  options: new Set(["timestamp", "expiration_date", "strike_price", "type"]),
  corporate_actions: new Set(["ex_date", "type"]),
};

export function jsonForm(
  table: MarketTable,
  columns: readonly FormatColumn[],
  end: () => Record<string, unknown>,
  isSingle = false,
): JsonForm {
  const members = columns.filter(({ name }) => name !== "symbol").map((column) => memberOf(table, column));
  return { member: table, group: "symbol", members, end, isSingle };
}

/** Of a matrix: its columns are tickers, whatever those are called. */
export function wideJsonForm(
  table: MarketTable,
  columns: readonly FormatColumn[],
  end: () => Record<string, unknown>,
): JsonForm {
  const members = columns.map((column): JsonMember => ({ key: column.name, column, isNullShown: true }));
  return { member: table, group: null, members, end };
}

/** @param name of the column in its table, where the answer has another one for it. */
export function memberOf(table: MarketTable, column: FormatColumn, name = column.name) {
  const key = columnNamed(table, name)?.short ?? name;
  const isNullShown = SHOWN[table].has(name);
  return { key, column, isNullShown, isNumber: name === "id" } satisfies JsonMember;
}
