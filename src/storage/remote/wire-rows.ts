/** Rows of the upstream's answers in the form that drivers give them, all digits kept. */
import { parseTimestamp } from "../../market/timestamp.ts";
import { isObject, type JsonRecord } from "../../protocol/json.ts";
import { type Count, TransferRowError } from "../contract.ts";
import { extraText } from "../extra-json.ts";
import { type KindName, kindOf, type RowKind, type SeriesRow } from "../model/kinds.ts";

/** `2024-01-02T10:00:00.000001Z` */
const WIRE_STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const NO_FRACTION = ".000000";
const DAY_LENGTH = "2024-01-02".length;

/**
 * A row of an answer as drivers give it.
 *
 * @param row with bigints where a double can't hold a number.
 * @param names members of the row that are not named as the columns are.
 * @throws TransferRowError no row as a server answers it.
 */
export function toRow(name: KindName, row: JsonRecord, names: Record<string, string> = {}): SeriesRow {
  const kind = kindOf(name);
  const values = kind.values.map(({ name, type }) => {
    const member = names[name] ?? name;
    if (type === "json") return extra(row, member);
    return type === "double" ? real(row, member) : type === "count" ? count(row, member) : text(row, member);
  });
  return [stampOf(row[kind.stamp.name], kind), ...values];
}

/** A row of a kind with `seq`, which the answer tells. @throws TransferRowError */
export function toSequencedRow(name: KindName, row: JsonRecord): SeriesRow {
  const { seq } = row;
  if (!Number.isSafeInteger(seq)) {
    const stamp = row[kindOf(name).stamp.name];
    throw new TransferRowError(`tick ${stamp}: seq is ${seq}, expected a whole number`);
  }
  return [...toRow(name, row), seq as number];
}

function stampOf(value: unknown, { stamp, label }: RowKind): string {
  const text = tickStamp(value);
  if (stamp.type === "instant") return text;
  if (stamp.type === "date") return text.slice(0, DAY_LENGTH);
  if (!text.endsWith(NO_FRACTION))
    throw new TransferRowError(`${text}: ${label} have no fraction of a second`);
  return text.slice(0, -NO_FRACTION.length);
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

function extra(row: JsonRecord, name: string): string | null {
  const value = row[name] ?? null;
  if (value === null) return null;
  if (isObject(value)) return extraText(value);
  throw new TransferRowError(`${name} is ${JSON.stringify(value)}, expected an object`);
}

function text(row: JsonRecord, name: string): string | null {
  const value = row[name] ?? null;
  if (value === null || typeof value === "string") return value;
  throw new TransferRowError(`${name} is ${JSON.stringify(value)}, expected text`);
}
