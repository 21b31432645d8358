/**
 * The tables of rows: their names are the same in every engine, since users' SQL knows them by
 * these.
 */
import type { RowKind } from "./contract.ts";

/** `stamp` is the column of time. */
export const ROW_TABLES = {
  daily: { name: "daily_prices", stamp: "date" },
  hourly: { name: "hourly_prices", stamp: "datetime" },
  ticks: { name: "realtime_data", stamp: "timestamp" },
} as const satisfies Record<RowKind, { name: string; stamp: string }>;

export const TABLE_NAMES = [ROW_TABLES.daily.name, ROW_TABLES.hourly.name, ROW_TABLES.ticks.name] as const;
export type TableName = (typeof TABLE_NAMES)[number];
