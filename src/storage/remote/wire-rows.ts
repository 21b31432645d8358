/** Rows of the upstream's answers in the form that drivers give them, all digits kept. */
import { parseTimestamp } from "../../market/timestamp.ts";
import type { JsonRecord } from "../../protocol/json.ts";
import { type BarInterval, type BarRow, type Count, type TickRow, TransferRowError } from "../contract.ts";

/** `2024-01-02T10:00:00.000001Z` */
const WIRE_STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const NO_FRACTION = ".000000";

/**
 * @param row with bigints where a double can't hold a number.
 * @throws TransferRowError no row as a server answers it.
 */
export function toBarRow(row: JsonRecord, interval: BarInterval): BarRow {
  const daily = interval === "daily";
  const stamp = tickStamp(row[daily ? "date" : "datetime"]);
  if (!daily && !stamp.endsWith(NO_FRACTION))
    throw new TransferRowError(`hourly ${stamp}: an hourly bar has no fraction of a second`);
  return [
    daily ? stamp.slice(0, 10) : stamp.slice(0, -NO_FRACTION.length),
    real(row, "open"),
    real(row, "high"),
    real(row, "low"),
    real(row, "close"),
    count(row, "volume"),
  ];
}

/** @throws TransferRowError */
export function toTickRow(row: JsonRecord): TickRow {
  const seq = row.seq;
  if (!Number.isSafeInteger(seq))
    throw new TransferRowError(`tick ${row.timestamp}: seq is ${seq}, expected a whole number`);
  return [tickStamp(row.timestamp), ...tickValues(row, "price", "size"), seq as number];
}

/** Of a snapshot, which doesn't tell its `seq`. @throws TransferRowError */
export function toQuote(row: JsonRecord): TickRow {
  return [tickStamp(row.timestamp), ...tickValues(row, "bid_price", "bid_size"), null];
}

/** As toQuote. */
export function toTrade(row: JsonRecord): TickRow {
  return [tickStamp(row.timestamp), ...tickValues(row, "price", "size"), null];
}

function tickValues(row: JsonRecord, price: string, size: string) {
  return [real(row, price), count(row, size), real(row, "ask_price"), count(row, "ask_size")] as const;
}

function tickStamp(value: unknown): string {
  if (typeof value === "string") {
    if (WIRE_STAMP.test(value)) return `${value.slice(0, 10)} ${value.slice(11, -1)}`;
    const stamp = parseTimestamp(value);
    if (stamp !== null) return stamp;
  }
  throw new TransferRowError(`a row has the stamp ${JSON.stringify(value)}`);
}

function real(row: JsonRecord, name: string): number | null {
  const value = row[name] ?? null;
  if (value === null || typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  throw new TransferRowError(`${name} is ${JSON.stringify(value)}, expected a number`);
}

function count(row: JsonRecord, name: string): Count | null {
  const value = row[name] ?? null;
  return typeof value === "bigint" ? String(value) : real(row, name);
}
