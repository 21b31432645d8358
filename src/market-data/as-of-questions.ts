/** Questions of two tables joined by time. The door that was asked has checked them. */
import type { AsOfOptions } from "../analysis/as-of.ts";
import type { StoredLength, StoredQuestion } from "./questions.ts";

/** A side of a join: trades, quotes, or stored bars of one length. */
export type JoinedTable = { of: "trades" } | { of: "quotes" } | { of: "bars"; series: StoredLength };

export interface AsOfQuestion extends StoredQuestion {
  left: JoinedTable;
  right: JoinedTable;
  /** Columns of the right, by their names in its own table. */
  rightColumns: readonly string[];
  options: AsOfOptions;
}

/** What the columns of the right begin with, so that both sides may have one of a name. */
export const RIGHT_PREFIX = {
  trades: "trade_",
  quotes: "quote_",
  bars: "bar_",
} as const;

/** Tables that a join may have. */
type JoinedName = keyof typeof RIGHT_PREFIX;

/** Where the rows of a side are stored. */
export function storedOf(table: JoinedTable): {
  table: JoinedName;
  kind: "ticks" | StoredLength["kind"];
  parts: string[] | null;
} {
  if (table.of === "trades") return { table: "trades", kind: "ticks", parts: ["trade"] };
  if (table.of === "quotes") return { table: "quotes", kind: "ticks", parts: ["quote"] };
  const { kind, part } = table.series;
  return { table: "bars", kind, parts: part === null ? null : [part] };
}
