/**
 * Turns rows of CSV files into records for a save. Columns are found by name; case, blanks,
 * underscores, quotes, brackets and a byte order mark don't count. Only unmistakable names are
 * accepted: an adjusted close is never read as the close.
 */
import type { BarLength } from "./interval.ts";
import { parseCalendarDate, parseTimestamp, TimestampError, toHourly } from "./timestamp.ts";

/** Bars by their length, or a type of ticks. */
export type CsvKind = BarLength | "quote" | "trade";

export function isBars(kind: CsvKind): kind is BarLength {
  return kind !== "quote" && kind !== "trade";
}

/** The file doesn't fit the kind of import. The message names the column and the value. */
export class CsvError extends Error {
  override readonly name = "CsvError";
}

/** Stamps in stored form under `date` (daily), `datetime` (other bars) or `timestamp` (ticks). */
export type CsvRecord = Record<string, string | number | null>;

interface PlannedNumber {
  /** Field of the save. */
  name: string;
  /** Column of the file. */
  column: string;
  index: number;
}

export interface ColumnPlan {
  kind: CsvKind;
  stampName: string;
  /** Column of the file; two names when date and time are apart. */
  stampColumn: string;
  /** One, or date and time. */
  stampIndexes: number[];
  numbers: PlannedNumber[];
  /** Columns of the file that are not imported. */
  ignored: string[];
  /** Fields in a row. */
  width: number;
}

interface NumberColumn {
  name: string;
  /** Simplified names. The first one in the header counts. */
  known: string[];
  optional?: true;
}

const STAMP_WITH_TIME = ["datetime", "timestamp", "ts", "datetimeutc", "timestamputc"];

const BAR_COLUMNS: NumberColumn[] = [
  { name: "open", known: ["open", "o"] },
  { name: "high", known: ["high", "h"] },
  { name: "low", known: ["low", "l"] },
  { name: "close", known: ["close", "c"] },
  // Indices and currencies have no volume.
  { name: "volume", known: ["volume", "vol", "v"], optional: true },
];

const SEQ_COLUMN: NumberColumn = { name: "seq", known: ["seq", "sequence"], optional: true };

const INTERVAL_COLUMNS: NumberColumn[] = [
  ...BAR_COLUMNS,
  { name: "vwap", known: ["vwap", "vw", "weightedaverage"], optional: true },
  { name: "trade_count", known: ["tradecount", "trades", "transactions", "n", "count"], optional: true },
];

const TICK_COLUMNS: Record<"quote" | "trade", NumberColumn[]> = {
  // The price of a quote is its bid, even beside a last price.
  quote: [
    { name: "price", known: ["bidprice", "bid", "price"] },
    { name: "size", known: ["bidsize", "bidqty", "bidquantity", "size"], optional: true },
    { name: "ask_price", known: ["askprice", "ask", "offer", "offerprice"], optional: true },
    { name: "ask_size", known: ["asksize", "askqty", "askquantity", "offersize"], optional: true },
    SEQ_COLUMN,
  ],
  trade: [
    { name: "price", known: ["price", "tradeprice", "last", "lastprice"] },
    { name: "size", known: ["size", "tradesize", "quantity", "qty", "lastsize", "volume", "vol"] },
    SEQ_COLUMN,
  ],
};

function numberColumns(kind: CsvKind): NumberColumn[] {
  if (!isBars(kind)) return TICK_COLUMNS[kind];
  return kind === "daily" || kind === "hourly" ? BAR_COLUMNS : INTERVAL_COLUMNS;
}

function stampNameOf(kind: CsvKind): string {
  if (!isBars(kind)) return "timestamp";
  return kind === "daily" ? "date" : "datetime";
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const NO_VALUE = new Set(["", "nan", "null", "none", "na", "n/a"]);
const SHOWN_LENGTH_MAX = 60;

/**
 * Finds the columns of a kind in a header.
 * @throws CsvError A column is missing, or two have the same name.
 */
export function planColumns(header: readonly string[], kind: CsvKind): ColumnPlan {
  const stampIndexes = findStamp(header, kind);
  if (stampIndexes.length === 0) throw missing(stampNameOf(kind), header, kind);
  const numbers: PlannedNumber[] = [];
  for (const { name, known, optional } of numberColumns(kind)) {
    const index = findColumn(header, known);
    if (index !== null) numbers.push({ name, column: header[index]!, index });
    else if (optional === undefined) throw missing(name, header, kind);
  }
  const taken = new Set([...stampIndexes, ...numbers.map(({ index }) => index)]);
  return {
    kind,
    stampName: stampNameOf(kind),
    stampColumn: stampIndexes.map((index) => header[index]!).join(" and "),
    stampIndexes,
    numbers,
    ignored: header.filter((_, index) => !taken.has(index)),
    width: header.length,
  };
}

/**
 * Turns a row into a record. Stamps without a zone are UTC; a blank, NaN or null number is null.
 * @throws CsvError Names the column, the value and what was expected.
 */
export function readRecord(plan: ColumnPlan, fields: readonly string[]): CsvRecord {
  // Missing and extra fields shift the others under wrong names. Blank ones at the end don't.
  if (fields.length < plan.width || fields.slice(plan.width).some((field) => field.trim() !== "")) {
    throw new CsvError(`expected ${plan.width} fields as in the header, got ${fields.length}`);
  }
  const record: CsvRecord = { [plan.stampName]: readStamp(plan, fields) };
  for (const { name, column, index } of plan.numbers) {
    record[name] = name === "seq" ? readSeq(column, fields[index]!) : readNumber(column, fields[index]!);
  }
  return record;
}

function readStamp(plan: ColumnPlan, fields: readonly string[]): string {
  const text = plan.stampIndexes.map((index) => fields[index]!.trim()).join(" ");
  let stamp: string | null;
  try {
    stamp = plan.kind === "daily" ? parseCalendarDate(text) : parseTimestamp(text);
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error;
    throw new CsvError(`column ${quote(plan.stampColumn)}: ${error.message}`);
  }
  if (stamp === null)
    throw new CsvError(`column ${quote(plan.stampColumn)}: expected a ${plan.stampName}, got ${quote(text)}`);
  return isBars(plan.kind) && plan.kind !== "daily" ? toHourly(stamp) : stamp;
}

function readNumber(column: string, field: string): number | null {
  const text = field.trim();
  if (NO_VALUE.has(text.toLowerCase())) return null;
  const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) {
    throw new CsvError(`column ${quote(column)}: expected a number such as 182.5 or 1e6, got ${quote(text)}`);
  }
  return value;
}

function readSeq(column: string, field: string): number | null {
  const value = readNumber(column, field);
  if (value !== null && !(Number.isSafeInteger(value) && value >= 0)) {
    throw new CsvError(`column ${quote(column)}: expected a whole number from 0, got ${quote(field)}`);
  }
  return value;
}

/** Except for daily bars, a date needs a time: alone, it would put a whole day at midnight. */
function findStamp(header: readonly string[], kind: CsvKind): number[] {
  const date = findColumn(header, ["date"]);
  const time = findColumn(header, ["time"]);
  const both = findColumn(header, STAMP_WITH_TIME);
  if (kind !== "daily" && both === null && date !== null && time !== null) return [date, time];
  const single = kind === "daily" ? (date ?? both ?? time) : (both ?? date ?? time);
  return single === null ? [] : [single];
}

/** @returns index of the column with the first known name that the header has. */
function findColumn(header: readonly string[], known: readonly string[]): number | null {
  for (const name of known) {
    const index = header.findIndex((column) => simplify(column) === name);
    if (index < 0) continue;
    const other = header.findLastIndex((column) => simplify(column) === name);
    if (other === index) return index;
    throw new CsvError(
      `columns ${quote(header[index]!)} and ${quote(header[other]!)}: expected one "${name}"`,
    );
  }
  return null;
}

function simplify(column: string): string {
  return column.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}

function missing(name: string, header: readonly string[], kind: CsvKind): CsvError {
  const has = header.length === 0 ? "nothing" : header.map(quote).join(", ");
  return new CsvError(`no column ${quote(name)}, which ${kind} data needs: the header has ${has}`);
}

function quote(text: string): string {
  const shown = text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
  return JSON.stringify(shown.replace("\uFEFF", ""));
}
