/** What saves tell of themselves: in answers, and to subscribers. */
import { toWire } from "../market/timestamp.ts";
import { type JsonRecord, rawNumber } from "../protocol/json.ts";
import {
  type ColumnType,
  type KindName,
  kindOf,
  type SeriesRow,
  type SeriesValue,
} from "../storage/model/kinds.ts";

/** A row as answers show it, without what it doesn't bring. */
export function shownRecord(name: KindName, row: SeriesRow): JsonRecord {
  const { stamp, values } = kindOf(name);
  const record: JsonRecord = { [stamp.name]: toWire(row[0]) };
  for (const [index, column] of values.entries()) {
    const value = row[index + 1]!;
    if (value !== null) record[column.name] = shown(value, column.type);
  }
  return record;
}

function shown(value: NonNullable<SeriesValue>, type: ColumnType): unknown {
  if (type === "count") return typeof value === "string" ? rawNumber(value) : value;
  return type === "date" || type === "second" || type === "instant" ? toWire(String(value)) : value;
}

/** As the Python server printed it. */
export function shownTicker(ticker: unknown): string {
  return ticker === true ? "True" : String(ticker);
}
