/** Which column of a body is which of the table, by the names that answers have. */

import type { SentTable, WireColumn } from "../../formats/sent-table.ts";
import { columnsOf, type MarketTable } from "../../market-data/answer-columns.ts";
import { badRequest } from "../../protocol/errors.ts";
import { type KindName, kindOf } from "../../storage/model/kinds.ts";

/** Tables whose rows a POST to /v1 stores. */
export type WrittenTable = Extract<MarketTable, "bars" | "trades" | "quotes">;

/** Other names than the long and the short one of an answer. */
const ALSO: Record<WrittenTable, Record<string, readonly string[]>> = {
  bars: { symbol: ["ticker"], timestamp: ["date", "datetime", "time"] },
  trades: { symbol: ["ticker"], timestamp: ["datetime", "time"], id: ["trade_id"] },
  quotes: { symbol: ["ticker"], timestamp: ["datetime", "time"], bid_price: ["price"], bid_size: ["size"] },
};
/** Columns that say of every row what the request says already, and nothing else. */
const CONSTANT: Record<WrittenTable, readonly string[]> = {
  bars: ["interval", "timeframe"],
  trades: ["type", "data_type"],
  quotes: ["type", "data_type"],
};

export interface SentColumns {
  symbol: WireColumn | null;
  timestamp: WireColumn;
  /** By the column of the kind, such as `price`, `id` or `seq`. */
  values: Map<string, WireColumn>;
  /** Of the column `extra`. */
  members: { name: string; aliases: readonly string[]; isJson: boolean; column: WireColumn }[];
  /** An object in each row. */
  extra: WireColumn | null;
  constant: WireColumn[];
  /** Of `members`, those that the table has no column for. */
  unknown: string[];
}

/** @throws RequestError 400 */
export function namedColumns(table: WrittenTable, kind: KindName, { columns }: SentTable): SentColumns {
  const found = new Map<string, WireColumn>();
  const others: WireColumn[] = [];
  for (const column of columns) {
    const target = targetOf(table, column.name);
    if (target === null) others.push(column);
    else {
      const before = found.get(target);
      if (before !== undefined)
        throw badRequest(
          `got the columns ${JSON.stringify(before.name)} and ${JSON.stringify(column.name)}, expected one of them: both are ${target}`,
        );
      found.set(target, column);
    }
  }
  const timestamp = found.get("timestamp");
  if (timestamp === undefined)
    throw badRequest(`the rows have no column timestamp, or t, expected one${namesOf(columns)}`);
  const constant = others.filter(({ name }) => CONSTANT[table].includes(name.toLowerCase()));
  const { values, members } = byPlace(table, kind, found);
  const isStored = ({ name }: WireColumn) => isOwn(kind, name.toLowerCase());
  for (const column of others.filter(isStored)) {
    const name = column.name.toLowerCase();
    if (values.has(name)) throw badRequest(`got two columns for ${name}, expected one of them`);
    values.set(name, column);
  }
  const follows = new Set<string>([...kindOf(kind).computed, "write_timestamp"]);
  const unknown = others.filter(
    (column) => !constant.includes(column) && !isStored(column) && !follows.has(column.name.toLowerCase()),
  );
  for (const column of unknown)
    members.push({ name: unknownName(column.name), aliases: [], isJson: false, column });
  requireValues(table, values, columns);
  return {
    symbol: found.get("symbol") ?? null,
    timestamp,
    values,
    members,
    extra: found.get("extra") ?? null,
    constant,
    unknown: unknown.map(({ name }) => name),
  };
}

/** Values of the kind, and what it keeps as members of `extra`. */
function byPlace(table: WrittenTable, kind: KindName, found: ReadonlyMap<string, WireColumn>) {
  const values = new Map<string, WireColumn>();
  const members: SentColumns["members"] = [];
  for (const { name, stored, extra, type } of columnsOf(table)) {
    const column = found.get(name);
    if (column === undefined || ["symbol", "timestamp", "extra"].includes(name)) continue;
    if (isOwn(kind, stored)) values.set(stored, column);
    else members.push({ name, aliases: extra ?? [], isJson: type !== "text", column });
  }
  return { values, members };
}

/** Whether rows of the kind have the column for itself. */
function isOwn(kind: KindName, name: string): boolean {
  const { values, hasSeq } = kindOf(kind);
  return (hasSeq && name === "seq") || values.some((value) => value.name === name && value.type !== "json");
}

/** Short names mean what they mean in that case of letters; of others it makes no difference. */
function targetOf(table: WrittenTable, sent: string): string | null {
  const all = columnsOf(table);
  const exact = all.find(({ name, short }) => name === sent || short === sent);
  if (exact !== undefined) return exact.name;
  const lower = sent.toLowerCase();
  const long = all.find(({ name }) => name === lower);
  if (long !== undefined) return long.name;
  return Object.entries(ALSO[table]).find(([, names]) => names.includes(lower))?.[0] ?? null;
}

/** As saves write them; one letter may mean something else in the other case. */
function unknownName(name: string): string {
  return name.length === 1 ? name : name.toLowerCase();
}

const NEEDED: Record<WrittenTable, { names: string; stored: readonly string[] }> = {
  bars: { names: "open, high, low, close and volume", stored: ["open", "high", "low", "close", "volume"] },
  trades: { names: "price", stored: ["price"] },
  quotes: { names: "bid_price and ask_price", stored: ["price", "ask_price"] },
};

function requireValues(
  table: WrittenTable,
  values: ReadonlyMap<string, WireColumn>,
  columns: readonly WireColumn[],
): void {
  const { names, stored } = NEEDED[table];
  if (stored.some((name) => values.has(name))) return;
  const several = stored.length > 1 ? `at least one of ${names}` : names;
  throw badRequest(`the rows of ${table} have no prices, expected ${several}${namesOf(columns)}`);
}

const NAMES_SHOWN_MAX = 20;

function namesOf(columns: readonly WireColumn[]): string {
  if (columns.length === 0) return "; got none";
  const names = columns.slice(0, NAMES_SHOWN_MAX).map(({ name }) => JSON.stringify(name.slice(0, 100)));
  return `; got ${names.join(", ")}${columns.length > NAMES_SHOWN_MAX ? " …" : ""}`;
}
