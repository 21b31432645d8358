/** The columns of bars that are made when they are asked for. */
import type { BarColumns, BarField } from "../analysis/bar-columns.ts";
import { countsData, doubleData, instantData } from "../analysis/bars-data.ts";
import type { FormatColumn, FormatType } from "../formats/format-columns.ts";
import type { ColumnData } from "../storage/model/columns.ts";

interface DerivedColumn {
  name: string;
  field: BarField;
  type: FormatType;
  /** Only in an answer that names it. */
  onRequest?: true;
}

const COLUMNS: readonly DerivedColumn[] = [
  { name: "timestamp", field: "start", type: "second" },
  { name: "open", field: "open", type: "double" },
  { name: "high", field: "high", type: "double" },
  { name: "low", field: "low", type: "double" },
  { name: "close", field: "close", type: "double" },
  { name: "volume", field: "volume", type: "int64" },
  { name: "trade_count", field: "count", type: "int64" },
  { name: "vwap", field: "vwap", type: "double" },
  { name: "end", field: "end", type: "second", onRequest: true },
  { name: "first", field: "first", type: "instant", onRequest: true },
  { name: "last", field: "last", type: "instant", onRequest: true },
];

/** Beside the ticker. @param onRequest also those that only come when they are named. */
export function derivedColumnNames(onRequest: boolean): string[] {
  return COLUMNS.filter((column) => onRequest || column.onRequest !== true).map(({ name }) => name);
}

export function derivedFormat(name: string, zone: string): FormatColumn {
  if (name === "symbol") return { name, type: "name" };
  const type = COLUMNS.find((column) => column.name === name)?.type ?? "double";
  return isStamp(type) && zone !== "UTC" ? { name, type, zone } : { name, type };
}

function isStamp(type: FormatType): boolean {
  return type === "second" || type === "instant";
}

/** A column of the bars. */
export function derivedData(name: string, bars: BarColumns): ColumnData {
  const { field, type } = COLUMNS.find((column) => column.name === name)!;
  const values = bars.columns[field].slice(0, bars.rows);
  if (isStamp(type)) return instantData(values);
  if (type === "int64") return countsData(values, name === "volume" ? bars.exactVolumes : NONE);
  return doubleData(values);
}

const NONE: ReadonlyMap<number, bigint> = new Map();
