/**
 * Turns rows of files into records for a save. Columns are found by name (`column-names.ts`), or
 * where the user says they are. What no column of the tables is goes along under its own name.
 */
import {
  BAR_TICKER_NAMES,
  type CsvKind,
  DATE_NAMES,
  ID_NAMES,
  isBars,
  LIKE_VOLUME,
  numberColumns,
  STAMP_NAMES,
  simplify,
  stampNameOf,
  TICKER_NAMES,
  TIME_NAMES,
  volumeCurrency,
} from "./column-names.ts";
import { type NumberRules, PLAIN_FORM, readNumberText } from "./number-text.ts";
import { setMember } from "./record-member.ts";
import { StampReader } from "./stamp-reader.ts";
import { TimestampError } from "./timestamp.ts";

export { type CsvKind, isBars } from "./column-names.ts";

/** The file doesn't fit the kind of import. The message names the column and the value. */
export class CsvError extends Error {
  override readonly name = "CsvError";
}

/** A field of a row: text, or what a typed format has; objects are of JSON. */
export type SourceField = string | number | boolean | object | null;

/** Stamps in stored form under `date` (daily), `datetime` (other bars) or `timestamp` (ticks). */
export type CsvRecord = Record<string, SourceField | bigint>;

interface PlannedColumn {
  /** Member of the record. */
  name: string;
  /** Column of the file. */
  column: string;
  index: number;
}

interface PlannedNumber extends PlannedColumn {
  isPrice: boolean;
}

export interface ColumnPlan {
  kind: CsvKind;
  stampName: string;
  /** Column of the file; two names when date and time are apart. */
  stampColumn: string;
  /** One, or date and time. */
  stampIndexes: number[];
  numbers: PlannedNumber[];
  /** A tick's own id: of several columns where only they together tell ticks apart. */
  id: PlannedColumn | null;
  idParts: number[];
  /** Columns that go along under their own names. */
  extras: PlannedColumn[];
  /** Columns that are not imported. */
  leftOut: string[];
  /** Fields in a row. */
  width: number;
}

export interface ColumnChoices {
  /** Index by target, as the user or a known shape says. */
  columns?: ReadonlyMap<string, number>;
  /** Indexes of columns to leave out. */
  dropped?: ReadonlySet<number>;
  /** Columns that stand in front of the id. */
  idParts?: readonly number[];
  /** Columns that say something else, such as the ticker. */
  elsewhere?: ReadonlySet<number>;
  /** Whether the first rows have nothing but zeros and blanks there. */
  isZero?: (index: number) => boolean;
  /** The first ticker, to tell the volume of a pair in its own currency from that in the other. */
  ticker?: string;
}

const SHOWN_LENGTH_MAX = 60;
/** Nothing, or what pandas calls it. */
const NAMELESS = /^(?:unnamed: \d+)?$/i;
const BAR_MARKS = ["open", "high", "low", "o", "h", "l"];
const EXACT_DIGITS = 15;
const PLAIN_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/**
 * Finds the columns of a kind in a header.
 * @throws CsvError A column is missing, or two have the same name.
 */
export function planColumns(
  header: readonly string[],
  kind: CsvKind,
  choices: ColumnChoices = {},
): ColumnPlan {
  const stampIndexes = findStamp(header, kind, choices);
  if (stampIndexes.length === 0) throw missing(stampNameOf(kind), header, kind);
  const { columns, dropped, elsewhere = [] } = choices;
  const usable = withoutTaken(header, new Set([...stampIndexes, ...(dropped ?? []), ...elsewhere]));
  const numbers: PlannedNumber[] = [];
  for (const { name, known, optional, isPrice } of numberColumns(kind)) {
    const index = columns?.get(name) ?? findNumber(usable, name, known, choices);
    if (index !== null) numbers.push({ name, column: header[index]!, index, isPrice: isPrice ?? false });
    else if (optional === undefined) throw missing(name, header, kind);
  }
  const id = isBars(kind) ? null : (columns?.get("id") ?? findColumn(usable, ID_NAMES));
  const taken = new Set([...stampIndexes, ...numbers.map(({ index }) => index), id ?? -1, ...elsewhere]);
  const open = header.map((_, index) => index).filter((index) => !taken.has(index));
  const isExtra = (index: number): boolean =>
    dropped?.has(index) !== true && !NAMELESS.test(header[index]!.trim());
  return {
    kind,
    stampName: stampNameOf(kind),
    stampColumn: stampIndexes.map((index) => header[index]!).join(" and "),
    stampIndexes,
    numbers,
    id: id === null ? null : { name: "id", column: header[id]!, index: id },
    idParts: id === null ? [] : [...(choices.idParts ?? []), id],
    extras: nameExtras(header, open.filter(isExtra), [
      stampNameOf(kind),
      "id",
      ...numbers.map((n) => n.name),
    ]),
    leftOut: open.filter((index) => !isExtra(index)).map((index) => header[index]!),
    width: header.length,
  };
}

/** @returns columns that may be the volume or size, which no column of the plan is. */
export function unclearVolumes(plan: ColumnPlan): string[] {
  const name = isBars(plan.kind) ? "volume" : "size";
  if (plan.numbers.some((column) => column.name === name)) return [];
  // Beside the bid, a volume may be that of the last trade.
  const isUnclear = (text: string): boolean =>
    LIKE_VOLUME.test(text) && (plan.kind !== "quote" || text.startsWith("bid"));
  return plan.extras.map(({ column }) => column).filter((column) => isUnclear(simplify(column)));
}

/** @returns index of the column that names the ticker of a row; null when there is none. */
export function findTickerColumn(header: readonly string[]): number | null {
  const names = header.map(simplify);
  const isBar = names.some((name) => BAR_MARKS.includes(name));
  for (const name of isBar ? [...TICKER_NAMES, ...BAR_TICKER_NAMES] : TICKER_NAMES) {
    const index = names.indexOf(name);
    if (index >= 0) return index;
  }
  return null;
}

/** Extra members may not be called like another one of the record in any case of letters. */
function nameExtras(header: readonly string[], indexes: number[], reserved: string[]): PlannedColumn[] {
  const names = new Set(reserved);
  return indexes.map((index) => {
    const column = header[index]!.replace("\uFEFF", "").trim();
    let name = column;
    for (let copy = 2; names.has(name.toLowerCase()); copy++) name = `${column}_${copy}`;
    names.add(name.toLowerCase());
    return { name, column, index };
  });
}

/** How the fields of a file are read. */
export interface ReadingRules {
  stamps: StampReader;
  numbers: NumberRules;
  /** For prices: the same form, with the scale of fixed point. */
  prices: NumberRules;
}

export function plainRules(kind: CsvKind): ReadingRules {
  const numbers = { form: PLAIN_FORM, scale: null, isPrice: false };
  const prices = { ...numbers, isPrice: true };
  return { stamps: new StampReader({ kind: stampKindOf(kind) }), numbers, prices };
}

export function stampKindOf(kind: CsvKind): "date" | "second" | "instant" {
  if (!isBars(kind)) return "instant";
  return kind === "daily" ? "date" : "second";
}

/**
 * Turns a row into a record. Stamps without a zone are UTC unless the rules say another; a blank,
 * NaN or null number is null.
 * @throws CsvError Names the column, the value and what was expected.
 */
export function readRecord(
  plan: ColumnPlan,
  fields: readonly SourceField[],
  rules: ReadingRules,
  ticker = "",
): CsvRecord {
  // Missing and extra fields shift the others under wrong names. Blank ones at the end don't.
  if (fields.length !== plan.width && !isPadded(plan, fields)) {
    throw new CsvError(`expected ${plan.width} fields as in the header, got ${fields.length}`);
  }
  const record: CsvRecord = { [plan.stampName]: readStamp(plan, fields, rules.stamps, ticker) };
  for (const { name, column, index, isPrice } of plan.numbers) {
    record[name] = readNumber(column, fields[index]!, isPrice ? rules.prices : rules.numbers);
  }
  if (plan.id !== null) {
    const id = textOf(fields[plan.id.index]);
    if (id !== "") record.id = plan.idParts.length === 1 ? id : joinedId(plan, fields);
  }
  for (const { name, index } of plan.extras) {
    const value = readExtra(fields[index]!);
    if (value !== null) setMember(record, name, value);
  }
  return record;
}

function joinedId({ idParts }: ColumnPlan, fields: readonly SourceField[]): string {
  return idParts.map((index) => textOf(fields[index])).join("-");
}

function isPadded(plan: ColumnPlan, fields: readonly SourceField[]): boolean {
  return (
    fields.length > plan.width && fields.slice(plan.width).every((field) => String(field ?? "").trim() === "")
  );
}

/** The text of a row's stamp: date and time may stand apart. */
export function stampText(plan: Pick<ColumnPlan, "stampIndexes">, fields: readonly SourceField[]): string {
  const text = textOf(fields[plan.stampIndexes[0]!]);
  if (plan.stampIndexes.length === 1) return text;
  const time = textOf(fields[plan.stampIndexes[1]!]);
  // 93000 is half past nine: a number lost its zero.
  return `${text} ${/^\d{3}$|^\d{5}$/.test(time) ? `0${time}` : time}`;
}

function textOf(field: SourceField | undefined): string {
  return typeof field === "string" ? field.trim() : String(field ?? "");
}

function readStamp(
  plan: ColumnPlan,
  fields: readonly SourceField[],
  stamps: StampReader,
  ticker: string,
): string {
  const text = stampText(plan, fields);
  let stamp: string | null;
  try {
    stamp = stamps.read(text, ticker);
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error;
    throw new CsvError(`column ${quote(plan.stampColumn)}: ${error.message}`);
  }
  if (stamp === null)
    throw new CsvError(`column ${quote(plan.stampColumn)}: expected a ${plan.stampName}, got ${quote(text)}`);
  return stamp;
}

function readNumber(column: string, field: SourceField, rules: NumberRules): number | bigint | null {
  if (field === null) return null;
  if (typeof field === "number" && rules.scale === null) return Number.isFinite(field) ? field : null;
  const value = readNumberText(String(field), rules);
  if (Number.isNaN(value)) {
    throw new CsvError(
      `column ${quote(column)}: expected a number such as 182.5 or 1e6, got ${quote(String(field))}${hint(String(field))}`,
    );
  }
  return value;
}

function hint(field: string): string {
  return /\d[.,]\d/.test(field) && field.includes(",")
    ? " (--decimal comma or --decimal point says what the comma is)"
    : "";
}

/** A number where that keeps every digit, else the text. */
function readExtra(field: SourceField): SourceField {
  if (typeof field !== "string") return field;
  const text = field.trim();
  if (text === "") return null;
  return text.length <= EXACT_DIGITS && PLAIN_NUMBER.test(text) ? Number(text) : text;
}

/** Except for daily bars, a date needs a time: alone, it would put a whole day at midnight. */
function findStamp(header: readonly string[], kind: CsvKind, { columns }: ColumnChoices): number[] {
  const chosen = columns?.get("timestamp") ?? columns?.get("datetime");
  if (chosen !== undefined) return [chosen];
  const date = columns?.get("date") ?? findColumn(header, DATE_NAMES);
  const time = columns?.get("time") ?? findColumn(header, TIME_NAMES);
  if (columns?.has("date")) return kind === "daily" || !columns.has("time") ? [date!] : [date!, time!];
  const both = findColumn(header, STAMP_NAMES);
  if (kind !== "daily" && both === null && date !== null && time !== null) return [date, time];
  const single = kind === "daily" ? (date ?? both ?? time) : (both ?? date ?? time);
  return single === null ? [] : [single];
}

/**
 * Prefers, of several volumes, one that has a number, and of a pair's the one in its own currency.
 */
function findNumber(
  header: readonly string[],
  name: string,
  known: readonly string[],
  { isZero, ticker = "" }: ColumnChoices,
): number | null {
  if (name !== "volume") return findColumn(header, known);
  const named = known.flatMap((each) => findColumn(header, [each]) ?? []);
  const first = named.find((index) => isZero?.(index) !== true) ?? named[0];
  if (first !== undefined) return first;
  const byCurrency = header.flatMap((column, index) => {
    const currency = volumeCurrency(column);
    return currency === null ? [] : [{ currency, index }];
  });
  const own = byCurrency.find(({ currency }) => simplify(ticker).startsWith(currency.toLowerCase()));
  if (own !== undefined) return own.index;
  // Without a ticker, a code in capitals is a currency.
  const codes = byCurrency.filter(({ currency }) => currency === currency.toUpperCase());
  return codes.length === 1 ? codes[0]!.index : null;
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

/** A column has one meaning: what is taken has no name any more. */
function withoutTaken(header: readonly string[], taken: ReadonlySet<number>): string[] {
  return header.map((column, index) => (taken.has(index) ? "" : column));
}

function missing(name: string, header: readonly string[], kind: CsvKind): CsvError {
  const has = header.length === 0 ? "nothing" : header.map(quote).join(", ");
  return new CsvError(`no column ${quote(name)}, which ${kind} data needs: the header has ${has}`);
}

export function quote(text: string): string {
  const shown = text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
  return JSON.stringify(shown.replace("\uFEFF", ""));
}
