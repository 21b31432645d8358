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
  splitZone,
  stampNameOf,
  TICKER_NAMES,
  TIME_NAMES,
  volumeCurrency,
} from "./column-names.ts";
import { isNoValue, type NumberRules, PLAIN_FORM, readNumberText } from "./number-text.ts";
import { StampReader } from "./stamp-reader.ts";
import { TimestampError } from "./timestamp.ts";

export { type CsvKind, isBars } from "./column-names.ts";

/** The file doesn't fit the kind of import. The message names the column and the value. */
export class CsvError extends Error {
  override readonly name = "CsvError";
}

/** A field of a row: text, or what a typed format has; objects are of JSON. */
export type SourceField = string | number | boolean | object | null;

/**
 * Stamps in stored form under `date` (daily), `datetime` (other bars) or `timestamp` (ticks); what
 * goes along under `extra`.
 */
export type CsvRecord = Record<string, SourceField | bigint>;

type Extra = Record<string, SourceField>;

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
  /** Of the file; two when date and time are apart. */
  stampColumns: string[];
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
  /** Whether they have zeros there, in several rows. */
  isZeros?: (index: number) => boolean;
  /** The first ticker, to tell the volume of a pair in its own currency from that in the other. */
  ticker?: string;
}

const SHOWN_LENGTH_MAX = 60;
/** Nothing, or what pandas calls it. */
const NAMELESS = /^(?:unnamed: \d+)?$/i;
const BAR_MARKS = ["open", "high", "low", "o", "h", "l"];
const EXACT_DIGITS = 15;
/** Counts have 64 bits. */
const COUNT_END = 2 ** 63;
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
  const away = new Set([...stampIndexes, ...(dropped ?? []), ...elsewhere]);
  const numbers: PlannedNumber[] = [];
  for (const { name, known, optional, isPrice } of numberColumns(kind)) {
    const index = columns?.get(name) ?? findNumber(header, name, known, choices, away);
    if (index !== null)
      numbers.push({ name, column: ordinalName(header, index), index, isPrice: isPrice ?? false });
    else if (optional === undefined) throw missing(name, header, kind);
  }
  const id = isBars(kind) ? null : (columns?.get("id") ?? findId(header, choices, away));
  const taken = new Set([...stampIndexes, ...numbers.map(({ index }) => index), id ?? -1, ...elsewhere]);
  const open = header.map((_, index) => index).filter((index) => !taken.has(index));
  const isExtra = (index: number): boolean =>
    dropped?.has(index) !== true && !NAMELESS.test(header[index]!.trim());
  return {
    kind,
    stampName: stampNameOf(kind),
    stampColumns: stampIndexes.map((index) => header[index]!),
    stampIndexes,
    numbers,
    id: id === null ? null : { name: "id", column: ordinalName(header, id), index: id },
    idParts: id === null ? [] : [...(choices.idParts ?? []), id],
    extras: nameExtras(header, open.filter(isExtra)),
    leftOut: open.filter((index) => !isExtra(index)).map((index) => ordinalName(header, index)),
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

/**
 * @returns index of the column that names the ticker of a row; null when there is none.
 * @throws CsvError There are several.
 */
export function findTickerColumn(header: readonly string[]): number | null {
  const names = header.map(simplify);
  const isBar = names.some((name) => BAR_MARKS.includes(name));
  for (const name of isBar ? [...TICKER_NAMES, ...BAR_TICKER_NAMES] : TICKER_NAMES) {
    const found = names.flatMap((each, index) => (each === name ? [index] : []));
    if (found.length > 1) throw severalColumns(header, found, "ticker");
    if (found.length === 1) return found[0]!;
  }
  return null;
}

/** Their own names, each once. */
function nameExtras(header: readonly string[], indexes: number[]): PlannedColumn[] {
  const names = new Set<string>();
  return indexes.map((index) => {
    const own = header[index]!.replace("\uFEFF", "").trim();
    let name = own;
    for (let copy = 2; names.has(name); copy++) name = `${own}_${copy}`;
    names.add(name);
    return { name, column: ordinalName(header, index).trim(), index };
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
    record[name] = readNumberField(column, fields[index]!, isPrice ? rules.prices : rules.numbers);
  }
  if (plan.id !== null) {
    const id = textOf(fields[plan.id.index]);
    if (!isNoValue(id)) record.id = plan.idParts.length === 1 ? id : joinedId(plan, fields);
  }
  for (const { name, index } of plan.extras) addExtra(record, name, readExtra(fields[index]!));
  return record;
}

/** Apart from the members that a save knows, so that none is taken for one of them. */
export function addExtra(record: CsvRecord, name: string, value: SourceField): void {
  if (value === null) return;
  record.extra ??= Object.create(null) as Extra;
  (record.extra as Extra)[name] = value;
}

/** What goes along with a record, by name. */
export function extraOf({ extra }: CsvRecord): Extra {
  return (extra ?? {}) as Extra;
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
    throw new CsvError(`column ${quoteStamp(plan)}: ${error.message}`);
  }
  if (stamp === null)
    throw new CsvError(`column ${quoteStamp(plan)}: expected a ${plan.stampName}, got ${quote(text)}`);
  return stamp;
}

/** @throws CsvError */
export function readNumberField(
  column: string,
  field: SourceField,
  rules: NumberRules,
): number | bigint | null {
  if (field === null) return null;
  const value = valueOfField(field, rules);
  if (!rules.isPrice && typeof value === "number" && Math.abs(value) >= COUNT_END) {
    // A double, or as one is written.
    if (value === -COUNT_END && String(field) === String(value)) return BigInt(value);
    throw new CsvError(
      `column ${quote(column)}: expected a number within 64 bits, got ${quote(String(field).trim())}`,
    );
  }
  if (Number.isNaN(value)) {
    throw new CsvError(
      `column ${quote(column)}: expected a number such as 182.5 or 1e6, got ${quote(String(field))}${hint(String(field))}`,
    );
  }
  return value;
}

function valueOfField(field: string | number | boolean | object, rules: NumberRules): number | bigint | null {
  if (typeof field === "object") return Number.NaN;
  if (typeof field === "number" && rules.scale === null) return Number.isFinite(field) ? field : null;
  return readNumberText(String(field), rules);
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
  if (isNoValue(text)) return null;
  return text.length <= EXACT_DIGITS && PLAIN_NUMBER.test(text) ? Number(text) : text;
}

/** Except for daily bars, a date needs a time: alone, it would put a whole day at midnight. */
function findStamp(header: readonly string[], kind: CsvKind, { columns }: ColumnChoices): number[] {
  const chosen = columns?.get("timestamp") ?? columns?.get("datetime");
  if (chosen !== undefined) return [chosen];
  const bare = header.map((name) => splitZone(name).name);
  const date = columns?.get("date") ?? findColumn(bare, DATE_NAMES, "date");
  const time = columns?.get("time") ?? findColumn(bare, TIME_NAMES, "time");
  if (columns?.has("date")) return kind === "daily" || !columns.has("time") ? [date!] : [date!, time!];
  const both = findColumn(bare, STAMP_NAMES, "timestamp");
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
  taken: ReadonlySet<number>,
): number | null {
  if (name !== "volume") return findColumn(header, known, name, taken);
  const named = known.flatMap((each) => findColumn(header, [each], name, taken) ?? []);
  const first = named.find((index) => isZero?.(index) !== true) ?? named[0];
  if (first !== undefined) return first;
  const byCurrency = header.flatMap((column, index) => {
    const currency = taken.has(index) ? null : volumeCurrency(column);
    return currency === null ? [] : [{ currency, index }];
  });
  const own = byCurrency.find(({ currency }) => simplify(ticker).startsWith(currency.toLowerCase()));
  if (own !== undefined) return own.index;
  // Without a ticker, a code in capitals is a currency.
  const codes = byCurrency.filter(({ currency }) => currency === currency.toUpperCase());
  return codes.length === 1 ? codes[0]!.index : null;
}

/** @returns null where the column is filled with zeros: they tell no tick from another. */
function findId(
  header: readonly string[],
  { isZeros }: ColumnChoices,
  away: ReadonlySet<number>,
): number | null {
  const index = findColumn(header, ID_NAMES, "id", away);
  return index !== null && isZeros?.(index) === true ? null : index;
}

/** How a column is told from others of its name: `Close.2` is the second one from the left. */
function ordinalName(header: readonly string[], index: number): string {
  const name = header[index]!;
  if (NAMELESS.test(name.trim())) return name;
  const same = header.flatMap((each, at) => (each === name ? [at] : []));
  return same.length === 1 ? name : `${name}.${same.indexOf(index) + 1}`;
}

/** @returns for a name such as `Close.2`, the second of several columns called `Close`; or null. */
export function indexOfOrdinal(header: readonly string[], text: string): number | null {
  const index = header.findIndex((name, at) => name !== text && ordinalName(header, at) === text);
  return index < 0 ? null : index;
}

/** @param target What --column calls it. */
function severalColumns(header: readonly string[], found: number[], target: string): CsvError {
  const names = found.map((index) => quote(ordinalName(header, index)));
  const flag = target === "ticker" ? "--ticker-column " : `--column ${target}=`;
  const last = ordinalName(header, found.at(-1)!);
  return new CsvError(
    `columns ${names.slice(0, -1).join(", ")} and ${names.at(-1)} may both be the ${target}: ${flag}${last} takes that one, --drop ${last} leaves it out`,
  );
}

/**
 * @param taken A column has one meaning.
 * @returns index of the column with the first known name that the header has.
 * @throws CsvError It has several.
 */
function findColumn(
  header: readonly string[],
  known: readonly string[],
  target: string,
  taken?: ReadonlySet<number>,
): number | null {
  for (const name of known) {
    const found = header.flatMap((column, index) =>
      taken?.has(index) !== true && simplify(column) === name ? [index] : [],
    );
    if (found.length === 1) return found[0]!;
    if (found.length > 1) throw severalColumns(header, found, target);
  }
  return null;
}

function missing(name: string, header: readonly string[], kind: CsvKind): CsvError {
  const has = header.length === 0 ? "nothing" : header.map(quote).join(", ");
  return new CsvError(`no column ${quote(name)}, which ${kind} data needs: the header has ${has}`);
}

/** The columns of the stamp, for messages. */
export function quoteStamp({ stampColumns }: Pick<ColumnPlan, "stampColumns">): string {
  return stampColumns.map(quote).join(" and ");
}

export function quote(text: string): string {
  const shown = text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
  return JSON.stringify(shown.replace("\uFEFF", ""));
}
