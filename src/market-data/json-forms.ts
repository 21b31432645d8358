/** How tables stand in JSON: by ticker, with the short names of Alpaca's market data API. */
import type { FormatColumn } from "../formats/format-columns.ts";
import type { JsonForm, JsonMember } from "../formats/json.ts";
import { columnNamed, type MarketTable } from "./answer-columns.ts";

/** They have a value, and a row without one says so. Others are left out. */
const SHOWN = new Set([
  "timestamp",
  "ex_date",
  "type",
  "open",
  "high",
  "low",
  "close",
  "volume",
  "price",
  "size",
]);
const SHOWN_OF_QUOTES = new Set(["bid_price", "bid_size", "ask_price", "ask_size"]);

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
  const isNullShown = SHOWN.has(name) || SHOWN_OF_QUOTES.has(name);
  return { key, column, isNullShown, isNumber: name === "id" } satisfies JsonMember;
}
