/**
 * Decides how files of one layout are read: which column is what, how its values are written, whose
 * rows they are. Nothing is guessed: a doubt is asked about, before the first row is stored.
 */
import { numberColumns, simplify, splitZone } from "../../market/column-names.ts";
import {
  type ColumnChoices,
  type ColumnPlan,
  CsvError,
  type CsvKind,
  isBars,
  plainRules,
  planColumns,
  quote,
  quoteStamp,
  type ReadingRules,
  type SourceField,
  stampKindOf,
  stampText,
  unclearVolumes,
} from "../../market/csv.ts";
import type { DateOrder } from "../../market/date-order.ts";
import type { EpochUnit } from "../../market/epoch-unit.ts";
import { type BarLength, parseInterval } from "../../market/interval.ts";
import {
  type DecimalMark,
  isWholeText,
  NumberEvidence,
  type NumberForm,
  PLAIN_FORM,
} from "../../market/number-text.ts";
import { microsOfStamp } from "../../market/stamp-micros.ts";
import { isLateInUtc, StampReader, textSaysZone } from "../../market/stamp-reader.ts";
import { TimestampError } from "../../market/timestamp.ts";
import { type Zone, zoneOf } from "../../market/zone.ts";
import { kindOf } from "../../storage/model/kinds.ts";
import { type ActionColumns, type ActionRule, findActionColumns } from "./action-columns.ts";
import type { SourceRow } from "./csv-rows.ts";
import { DoubtError, listed } from "./doubt.ts";
import { type ExportColumns, exportColumns } from "./export-columns.ts";
import { chosenColumns, columnIndex, findHeader, type Header, tickerColumn } from "./header.ts";
import { type InferredInterval, inferFamily, inferInterval, type SeenStamp } from "./infer-kind.ts";
import { exportedKind, isRowKind, type RowColumns, type RowKindName, rowColumns } from "./row-columns.ts";
import { type ColumnStamps, decideStampForm, describeCut, type SampledStamp } from "./stamp-form.ts";

export interface ReadingOptions {
  /** null: to be seen from the columns. */
  kind: CsvKind | RowKindName | null;
  columns: readonly { target: string; column: string }[];
  drop: readonly string[];
  noHeader: boolean;
  columnNames: string[] | null;
  tickerColumn: string | null;
  zone: Zone | null;
  dateOrder: DateOrder | null;
  epoch: EpochUnit | null;
  decimal: DecimalMark | null;
  /** Power of ten of prices in fixed point. */
  scale: number | null;
  /** What prices are adjusted for, where corporate actions are to be taken; null: they aren't. */
  actions: ActionRule | null;
}

export const NO_CHOICES: ReadingOptions = {
  kind: null,
  columns: [],
  drop: [],
  noHeader: false,
  columnNames: null,
  tickerColumn: null,
  zone: null,
  dateOrder: null,
  epoch: null,
  decimal: null,
  scale: null,
  actions: null,
};

/** The first rows of a file, and a way to all of them. */
export interface SampledFile {
  /** For messages: where a row stands. */
  where(line: number): string;
  columns: string[] | null;
  rows: readonly SourceRow[];
  /** What the folder says that an export wrote: the type of ticks, or the length of bars. */
  part?: string | null;
  /** Of text. */
  separator?: string | null;
  /** Of all its rows, where no column names it; or null. @throws DoubtError */
  ticker(): string | null;
  /** Hands out all rows; only the sample where a source can't be read twice. */
  everyRow(visit: (row: SourceRow) => void): Promise<void>;
}

/** @throws CsvError The row doesn't belong among the others. */
type RowCheck = (fields: readonly SourceField[]) => void;

export interface Layout {
  header: Header;
  kind: CsvKind | RowKindName;
  /** Of rows that are neither bars nor ticks. */
  rows: RowColumns | null;
  /** Why it is this kind; null when the user says it. */
  kindWhy: string | null;
  plan: ColumnPlan;
  /** Index of the column that names the ticker of each row. */
  tickerIndex: number | null;
  /** Of a file that an export wrote. */
  own: ExportColumns | null;
  actions: ActionColumns;
  checks: RowCheck[];
  stamps: ColumnStamps;
  zone: Zone | null;
  zoneText: string;
  /** Whether stamps say their zone; null: some do, or they can't. */
  saysZone: boolean | null;
  numbers: NumberForm;
  numbersWhy: string | null;
  scale: number | null;
  scaleWhy: string | null;
  /** Fresh for each file: readers of stamps remember where they are. */
  rules(): ReadingRules;
}

/** Columns that say of each row what it is, simplified. */
const TYPE_NAMES = [
  ...["type", "ticktype", "eventtype", "event", "recordtype", "msgtype", "messagetype", "updatetype"],
  "datatype",
];
const OF_QUOTES = /\b(?:quotes?|bid|ask|offer|n?bbo)\b/i;
/** The price of a trade beside quotes, simplified. */
const TRADE_PRICES = ["last", "lastprice", "price", "tradeprice"];
/** What separates fields whose numbers have decimal commas. */
const COMMA_FREE = [";", "\t"];
const OF_TRADES = /\btrades?\b/i;
/** Prices of fixed point are larger, and few real prices that are all whole. */
const SUSPICIOUS_PRICE = 1e6;
const MIDNIGHT = /[T ]00:00(:00(\.0*)?)?\s*(Z|[+-]\d.*|[A-Z][A-Za-z_/]+)?$/;
const ISO_DATE = /^\d{4}-\d\d-\d\d$/;
const LIKE_STAMP = /^\W*\d.{6,}$/;
const DAY_MS = 86_400_000;

/**
 * @param heads Of files with the same columns: what one of them proves holds for all.
 * @throws DoubtError @throws CsvError
 */
export async function decideLayout(heads: readonly SampledFile[], options: ReadingOptions): Promise<Layout> {
  const [first] = heads;
  const header = findHeader(first!.columns, first!.rows, options);
  const exported = options.kind === null ? exportedKind(header.names) : null;
  const rowKind = isRowKind(options.kind) ? options.kind : exported;
  if (rowKind !== null) return rowLayout(header, rowKind, options);
  const sample = new Sample(heads, header);
  const chosen = chosenColumns(header, options.columns);
  const tickerIndex = tickerColumn(header.names, chosen, options.tickerColumn);
  const own =
    header.shape?.isExport === true || (first!.part ?? null) !== null ? exportColumns(header.names) : null;
  const actions = findActionColumns(header.names);
  const choices: ColumnChoices = {
    columns: chosen,
    dropped: droppedColumns(header, options.drop),
    elsewhere: new Set(
      [...ownIndexes(own), tickerIndex, ...takenByActions(actions, options.actions)].flatMap(
        (index) => index ?? [],
      ),
    ),
    idParts: (header.shape?.idParts ?? []).flatMap((name) => {
      const index = header.names.findIndex((each) => simplify(each) === name);
      return index < 0 ? [] : [index];
    }),
    isZero: (index) => sample.isZero(index),
    isZeros: (index) => own === null && sample.texts(index).length > 1 && sample.isZero(index),
    ticker: tickerIndex === null ? "" : (sample.texts(tickerIndex)[0] ?? ""),
  };
  const asked = isRowKind(options.kind) ? null : options.kind;
  const known = asked ?? ownKind(first!, header, own);
  if (known === null) checkRows(header);
  const family = known ?? inferFamily(header.names, choices);
  const decided = await decideKind(family, sample, choices, tickerIndex, { ...options, kind: known });
  const { plan } = decided;
  checkTargets(plan, options.columns);
  if (known === null) {
    checkTypes(plan, sample);
    checkTimes(plan, sample, decided.stamps);
  }
  const unclear = unclearVolumes(plan);
  if (unclear.length > 0) {
    const target = isBars(plan.kind) ? "volume" : "size";
    throw new DoubtError(
      `no column is known to be the ${target}, but ${unclear.map(quote).join(", ")} may be: --column ${target}=NAME takes one, --drop NAME leaves it out`,
    );
  }
  const { form, why } = decideNumbers(plan, sample, options.decimal);
  const { scale, scaleWhy } =
    own === null ? decideScale(plan, sample, header, options.scale) : { scale: null, scaleWhy: null };
  const { zone, zoneText, saysZone } = decided;
  const stamps = withCut(decided.stamps, plan, sample);
  return {
    ...{
      header,
      kind: plan.kind,
      rows: null,
      kindWhy: known !== null && options.kind === null ? "as an export wrote them" : decided.why,
      plan,
      tickerIndex,
      own,
      actions,
      checks: [...decided.checks, ...markChecks(plan, sample, known)],
      stamps,
      zone,
      zoneText,
      saysZone: saysZone ?? null,
    },
    ...{ numbers: form, numbersWhy: why, scale, scaleWhy },
    rules: () => ({
      stamps: stampReader(plan.kind, stamps, zone, { ...options, saysZone }),
      numbers: { form, scale: null, isPrice: false },
      prices: { form, scale, isPrice: true, hasNone: own === null },
    }),
  };
}

/** Nothing has to be decided: the columns are those of the table. */
function rowLayout(header: Header, kind: RowKindName, options: ReadingOptions): Layout {
  const chosen = chosenColumns(header, options.columns);
  const tickerIndex = tickerColumn(header.names, chosen, options.tickerColumn);
  const isExport = exportedKind(header.names) === kind;
  const rows = rowColumns(header.names, kind, { tickerIndex, isExport });
  const stampName = kindOf(kind).stamp.name;
  if (rows.stamp === null) {
    throw new DoubtError(
      `no column ${quote(stampName)}, which ${kind} need: the header has ${header.names.map(quote).join(", ")}`,
    );
  }
  const plan: ColumnPlan = {
    ...{ kind: "trade", stampName, stampColumns: [rows.stamp.column], stampIndexes: [rows.stamp.index] },
    numbers: rows.values.map((each) => ({ ...each, isPrice: false })),
    ...{ id: null, idParts: [], extras: [], leftOut: rows.leftOut, width: rows.width },
  };
  return {
    ...{ header, kind, rows, plan, tickerIndex, own: null, actions: NO_ACTIONS, checks: [] },
    kindWhy: options.kind !== null ? null : "as an export wrote them",
    ...{ stamps: { unit: null, order: null, text: "" }, zone: null, zoneText: "as the stamps say, or UTC" },
    ...{ saysZone: null, numbers: PLAIN_FORM, numbersWhy: null, scale: null, scaleWhy: null },
    rules: () => plainRules("trade"),
  };
}

const NO_ACTIONS: ActionColumns = { dividends: null, splits: null, adjustedClose: null, gains: null };

/** Blanks around a ticker are an accident of the file, but not in an export. */
export function tickerIn(
  { tickerIndex, own, rows }: Pick<Layout, "tickerIndex" | "own" | "rows">,
  fields: readonly SourceField[],
): string {
  const text = String(fields[tickerIndex!] ?? "");
  return own !== null || rows?.isExport === true ? text : text.trim();
}

/** The adjusted close is kept, too. */
function takenByActions({ dividends, splits }: ActionColumns, rule: ActionRule | null): (number | null)[] {
  return rule === null ? [] : [dividends, splits];
}

/** Says what is lost of the stamps. */
function withCut(stamps: ColumnStamps, plan: ColumnPlan, sample: Sample): ColumnStamps {
  const texts = sample.stamps(plan).map(({ text }) => text);
  const cut = describeCut(texts, stamps.unit, stampKindOf(plan.kind));
  return { ...stamps, text: [stamps.text, cut].filter((part) => part !== "").join("; ") };
}

function ownIndexes(own: ExportColumns | null): number[] {
  return own === null ? [] : Object.values(own).filter((index): index is number => index !== null);
}

/**
 * The kind whose columns an exported file has; null for another file. Ticks of every type have
 * those of quotes.
 */
function ownKind(
  { part = null, rows }: SampledFile,
  header: Header,
  own: ExportColumns | null,
): CsvKind | null {
  if (own === null) return null;
  if (!header.names.includes("open")) return "quote";
  const written = own.part === null ? null : rows[header.rows]?.fields[own.part];
  return parseInterval(part ?? String(written ?? ""));
}

/** The first rows of all files of the layout. */
class Sample {
  readonly heads: readonly SampledFile[];
  readonly rows: SourceField[][];
  readonly #where: string[];
  /** Index of the head of each row. */
  readonly #files: number[];
  readonly header: Header;

  constructor(heads: readonly SampledFile[], header: Header) {
    this.heads = heads;
    this.header = header;
    const rows = heads.flatMap((head, file) =>
      head.rows.slice(header.rows).map((row) => ({ fields: row.fields, where: head.where(row.line), file })),
    );
    this.rows = rows.map(({ fields }) => fields);
    this.#where = rows.map(({ where }) => where);
    this.#files = rows.map(({ file }) => file);
  }

  fileOf(row: number): number {
    return this.#files[row]!;
  }

  /** Of each row. */
  tickers(index: number | null): string[] {
    if (index !== null) return this.rows.map((fields) => String(fields[index] ?? "").trim());
    const ofFiles = this.heads.map((head) => head.ticker() ?? "");
    return this.#files.map((file) => ofFiles[file]!);
  }

  /** Without blanks. */
  texts(index: number): string[] {
    return this.rows.flatMap((fields) => {
      const text = String(fields[index] ?? "").trim();
      return text === "" ? [] : [text];
    });
  }

  isZero(index: number): boolean {
    return this.texts(index).every((text) => Number(text) === 0);
  }

  stamps(plan: ColumnPlan): SampledStamp[] {
    return this.rows.map((fields, index) => ({ text: stampText(plan, fields), where: this.#where[index]! }));
  }

  async everyStamp(plan: ColumnPlan, visit: (stamp: SampledStamp) => void): Promise<void> {
    for (const head of this.heads) {
      let row = 0;
      await head.everyRow((each) => {
        if (row++ >= this.header.rows)
          visit({ text: stampText(plan, each.fields), where: head.where(each.line) });
      });
    }
  }
}

function droppedColumns({ names, shape }: Header, drop: readonly string[]): Set<number> {
  const dropped = new Set(drop.map((name) => columnIndex(names, name, `--drop ${name}`)));
  for (const each of shape?.leftOut ?? []) {
    const index = names.findIndex((name) => simplify(name) === each);
    if (index >= 0) dropped.add(index);
  }
  return dropped;
}

interface DecidedZone {
  zone: Zone | null;
  zoneText: string;
  /** Of stamps with a time, where no zone is named for those that say none. */
  saysZone?: boolean | null | undefined;
}

/** @returns null for what is no stamp. */
type StampSight = (text: string, ticker: string) => Omit<SeenStamp, "file"> | null;

interface DecidedKind extends DecidedZone {
  checks: RowCheck[];
  plan: ColumnPlan;
  why: string | null;
  stamps: ColumnStamps;
}

async function decideKind(
  family: CsvKind | "bars",
  sample: Sample,
  choices: ColumnChoices,
  tickerIndex: number | null,
  options: ReadingOptions,
): Promise<DecidedKind> {
  const { names } = sample.header;
  const form = (plan: ColumnPlan): Promise<ColumnStamps> =>
    decideStampForm(
      quoteStamp(plan),
      sample.stamps(plan),
      options,
      sample.header.shape?.dateOrder ?? null,
      (visit) => sample.everyStamp(plan, visit),
    );
  if (family !== "bars") {
    const plan = planColumns(names, family, choices);
    const stamps = await form(plan);
    const why = options.kind === null ? "by its columns" : null;
    return { plan, why, stamps, checks: [], ...zoneFor(plan, sample, stamps, options) };
  }
  const withTime = planColumns(names, "hourly", choices);
  const stamps = await form(withTime);
  const { interval, why, checks } = intervalOf(withTime, sample, stamps, tickerIndex, options);
  const plan = planColumns(names, interval, choices);
  const isSame = plan.stampColumns.join() === withTime.stampColumns.join();
  const ownStamps = isSame ? stamps : await form(plan);
  return { plan, why, stamps: ownStamps, checks, ...zoneFor(plan, sample, ownStamps, options) };
}

function intervalOf(
  plan: ColumnPlan,
  sample: Sample,
  stamps: ColumnStamps,
  tickerIndex: number | null,
  options: ReadingOptions,
): Pick<InferredInterval, "interval" | "why"> & Pick<DecidedKind, "checks"> {
  const { shape } = sample.header;
  const told = toldLength(sample)?.length ?? null;
  if (told !== null) return { interval: told, why: `as a column of ${shape!.name} says`, checks: [] };
  const zone = options.zone ?? zoneOf(shape?.dailyZone ?? "");
  const reader = stampReader("trade", stamps, options.zone, options);
  const tickers = sample.tickers(tickerIndex);
  const sight: StampSight = (text, ticker) => seenStamp(text, ticker, reader, stamps, zone);
  const seen = sample.rows.flatMap((fields, row) => {
    const stamp = sight(stampText(plan, fields), tickers[row]!);
    return stamp === null ? [] : { ...stamp, file: sample.fileOf(row) };
  });
  if (seen.length === 0) checkFirstStamp(plan, sample, reader);
  const { interval, why, byMidnight } = inferInterval(seen);
  return { interval, why, checks: byMidnight ? [midnightCheck(plan, interval, sight)] : [] };
}

/** @returns null when no column tells it. */
function toldLength(sample: Sample): { index: number; text: string; length: BarLength } | null {
  const { shape, names } = sample.header;
  const index = names.findIndex((each) => simplify(each) === shape?.length?.column);
  const text = index < 0 ? undefined : sample.texts(index)[0];
  const length = text === undefined ? null : shape!.length!.of(text);
  return length === null ? null : { index, text: text!, length };
}

/** Of columns that must say the same in every row. */
function markChecks({ kind }: ColumnPlan, sample: Sample, known: CsvKind | null): RowCheck[] {
  const { shape, names } = sample.header;
  const told = isBars(kind) && known === null ? toldLength(sample) : null;
  if (told !== null) {
    const expected = "as in the first row: import bars of each length apart";
    return [markCheck(names, told.index, told.text, expected)];
  }
  const { column, text = "" } = shape?.tradeMark ?? {};
  const index = names.findIndex((each) => simplify(each) === column);
  if (kind !== "trade" || index < 0) return [];
  return [markCheck(names, index, text, "of a trade: --skip-bad leaves other events out")];
}

function markCheck(names: readonly string[], index: number, text: string, expected: string): RowCheck {
  const column = quote(names[index]!);
  return (fields) => {
    const found = String(fields[index] ?? "").trim();
    if (found === text) return;
    throw new CsvError(`column ${column}: got ${quote(found)}, and not ${quote(text)} ${expected}`);
  };
}

/** Where the first rows have no time, or midnight, and are daily bars by that. */
function midnightCheck(plan: ColumnPlan, interval: BarLength, seen: StampSight): RowCheck {
  return (fields) => {
    const text = stampText(plan, fields);
    if (ISO_DATE.test(text)) return;
    const stamp = seen(text, "");
    if (stamp === null || stamp.atMidnight || !stamp.hasTime) return;
    throw new CsvError(
      `column ${quoteStamp(plan)}: ${quote(text)} is not at midnight, and those before it are, which are ${interval} bars by that: --interval says what they are`,
    );
  };
}

/** @throws DoubtError The columns look like those of ticks, and the rows are none. */
function checkRows({ shape, names }: Header): void {
  const other = shape?.otherRows?.(new Set(names.map(simplify))) ?? null;
  if (other === null) return;
  throw new DoubtError(
    `these are ${other}, as ${shape!.name} has them, and neither bars nor ticks: --type trade stores them as trades all the same`,
  );
}

/** @throws DoubtError The user names a column for what such rows don't have. */
function checkTargets({ kind }: ColumnPlan, asked: ReadingOptions["columns"]): void {
  const ofKind = [...numberColumns(kind).map(({ name }) => name), ...(isBars(kind) ? [] : ["id"])];
  const targets = ["timestamp", "datetime", "date", "time", "ticker", ...ofKind];
  const wrong = asked.find(({ target }) => !targets.includes(target));
  if (wrong === undefined) return;
  const rows = isBars(kind) ? `${kind} bars` : `${kind}s`;
  throw new DoubtError(
    `--column ${wrong.target}=${wrong.column}: ${rows} have no ${wrong.target}: expected ${listed(targets)}`,
  );
}

/** @throws DoubtError Some rows are of another type. */
function checkTypes({ kind, numbers, extras }: ColumnPlan, sample: Sample): void {
  if (isBars(kind)) return;
  const last = extras.find(({ column }) => TRADE_PRICES.includes(simplify(column)));
  if (kind === "quote" && last !== undefined) {
    const prices = numbers.filter(({ isPrice }) => isPrice);
    const isSet = (field: SourceField | undefined): boolean => Number(field ?? 0) !== 0;
    const isTrade = (fields: SourceField[]): boolean =>
      isSet(fields[last.index]) && !prices.some(({ index }) => isSet(fields[index]));
    if (sample.rows.some(isTrade))
      throw new DoubtError(
        `some rows have a ${quote(last.column)} and no bid or ask, so they are trades among quotes: expected ticks of one type in a file; --type quote takes all rows for quotes, --type trade for trades`,
      );
  }
  const others = kind === "trade" ? OF_QUOTES : OF_TRADES;
  for (const { index, column } of extras) {
    if (!TYPE_NAMES.includes(simplify(column))) continue;
    const other = sample.texts(index).find((text) => others.test(text.replaceAll("_", " ")));
    if (other === undefined) continue;
    throw new DoubtError(
      `column ${quote(column)} has ${quote(other)}, and the columns are those of ${kind}s: expected ticks of one type in a file; --type ${kind} takes all rows for ${kind}s`,
    );
  }
}

/** @throws DoubtError It can't be read, as no other. */
function checkFirstStamp(plan: ColumnPlan, sample: Sample, reader: StampReader): void {
  const first = sample.stamps(plan).find(({ text }) => text !== "");
  try {
    if (first !== undefined) reader.read(first.text, "");
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error;
    throw new DoubtError(`column ${quoteStamp(plan)}: ${error.message} (${first!.where})`);
  }
}

function saysTime(text: string): boolean {
  return /:|\d[T ]\d{4}|\d\s*[ap]\.?m/i.test(text) || /^\d{10,}(?:\.\d+)?$/.test(text);
}

/** @throws DoubtError A date alone would put a whole day at midnight. */
function checkTimes(plan: ColumnPlan, sample: Sample, { unit }: ColumnStamps): void {
  const texts = sample.stamps(plan).flatMap(({ text }) => (/\d\d/.test(text) ? [text] : []));
  if (isBars(plan.kind) || unit !== null || texts.length === 0 || texts.some(saysTime)) return;
  throw new DoubtError(
    `the columns are those of ${plan.kind}s, and column ${quoteStamp(plan)} has dates without a time, such as ${texts[0]}: --type ${plan.kind} stores them at midnight; bars need open, high and low`,
  );
}

function seenStamp(
  text: string,
  ticker: string,
  reader: StampReader,
  { unit }: ColumnStamps,
  zone: Zone | null,
): ReturnType<StampSight> {
  try {
    const stamp = reader.read(text, ticker);
    if (stamp === null) return null;
    const ms = Math.floor(microsOfStamp(stamp) / 1e3);
    const isUtcMidnight = stamp.endsWith(" 00:00:00.000000");
    const isThere = zone !== null && (ms + zone.offsetAt(ms)) % DAY_MS === 0;
    if (unit !== null)
      return { ticker, ms, hasTime: true, atMidnight: isThere || (zone === null && isUtcMidnight) };
    const hasTime = saysTime(text);
    const isWritten = text.includes(":") ? MIDNIGHT.test(text) : isUtcMidnight;
    return { ticker, ms, hasTime, atMidnight: isWritten || (hasTime && isThere) };
  } catch (error) {
    if (error instanceof TimestampError) return null;
    throw error;
  }
}

/** @throws DoubtError Some do, and some don't. */
function allSayZone(plan: ColumnPlan, stamps: readonly SampledStamp[]): boolean {
  const says = stamps.find(({ text }) => LIKE_STAMP.test(text) && textSaysZone(text));
  const without = stamps.find(({ text }) => LIKE_STAMP.test(text) && !textSaysZone(text));
  if (says === undefined || without === undefined) return says !== undefined;
  throw new DoubtError(
    `column ${quoteStamp(plan)}: ${quote(says.text)} (${says.where}) says its zone, and ${quote(without.text)} (${without.where}) doesn't: --tz names the zone of those that say none, such as --tz UTC`,
  );
}

/** @throws DoubtError Which day the bars are of depends on a zone that nothing tells. */
function zoneFor(
  plan: ColumnPlan,
  sample: Sample,
  { unit }: ColumnStamps,
  options: ReadingOptions,
): DecidedZone {
  const { shape } = sample.header;
  if (options.zone !== null) return { zone: options.zone, zoneText: `${options.zone.name}, as --tz says` };
  const seen = sample.stamps(plan).filter(({ text }) => text !== "");
  if (plan.kind !== "daily") {
    const saysZone = unit === null ? allSayZone(plan, seen) : null;
    const named = plan.stampColumns.find((column) => !isUtc(splitZone(column).zone));
    if (saysZone === false && named !== undefined) {
      throw new DoubtError(
        `column ${quote(named)} names a zone, and its stamps say none: --tz says which it is, such as --tz Europe/Athens, or --tz UTC`,
      );
    }
    const zoneText =
      saysZone === false ? "UTC, as they say no zone (--tz names another)" : "as the stamps say";
    return { zone: null, zoneText, saysZone };
  }
  const texts = seen.map(({ text }) => text);
  const asWritten = { zone: null, zoneText: "none: the dates are taken as they are written" };
  const isAtOddTime = unit !== null && texts.some((text) => text !== "" && !isMidnight(text, unit));
  if (unit !== null && shape?.dailyZone !== undefined) {
    const zone = zoneOf(shape.dailyZone);
    return { zone, zoneText: `${shape.dailyZone}, as ${shape.name} has them` };
  }
  const late = texts.find((text) => unit === null && isLateInUtc(text));
  if (isAtOddTime || late !== undefined) {
    throw new DoubtError(
      `column ${quoteStamp(plan)}: daily bars at ${late ?? texts.find((text) => text !== "")}, which is no midnight in UTC, are of one day here and another there: --tz says in which zone a day begins, such as --tz Asia/Tokyo (--tz UTC for the day in UTC)`,
    );
  }
  return unit === null ? asWritten : { zone: null, zoneText: "UTC: all are midnight there" };
}

function isUtc(zone: string | null): boolean {
  return zone === null || /^(?:Etc\/)?(?:UTC|GMT)$/i.test(zone);
}

function isMidnight(text: string, unit: EpochUnit): boolean {
  const perDay = { s: 86_400, ms: 86_400_000, us: 86_400_000_000, ns: 86_400_000_000_000 }[unit];
  return Number(text) % perDay === 0;
}

function stampReader(
  kind: CsvKind,
  { unit, order }: ColumnStamps,
  zone: Zone | null,
  { epoch, saysZone }: Pick<ReadingOptions, "epoch"> & Pick<DecidedZone, "saysZone">,
): StampReader {
  const isUnitCertain = epoch !== null;
  return new StampReader({ kind: stampKindOf(kind), unit, order, zone, isUnitCertain, saysZone });
}

function decideNumbers(
  plan: ColumnPlan,
  sample: Sample,
  asked: DecimalMark | null,
): { form: NumberForm; why: string | null } {
  if (asked !== null) return { form: { decimal: asked, grouped: true }, why: "as --decimal says" };
  const evidence = new NumberEvidence();
  for (const { index } of plan.numbers) for (const text of sample.texts(index)) evidence.add(text);
  const isCommaLikely = sample.header.shape === null && COMMA_FREE.includes(sample.heads[0]!.separator ?? "");
  const decided = evidence.decide(isCommaLikely);
  if ("form" in decided)
    return { form: decided.form, why: decided.because === null ? null : `as in ${decided.because}` };
  if ("doubt" in decided) {
    const [sign, other] = decided.doubt.includes(",") ? ["comma", "point"] : ["point", "comma"];
    throw new DoubtError(
      `is the ${sign} in ${decided.doubt} a decimal ${sign} (--decimal ${sign}), or does it stand between thousands (--decimal ${other})?`,
    );
  }
  throw new DoubtError(
    `${decided.contradiction.join(" and ")} contradict each other: expected one decimal sign in a file; --decimal point or comma says which`,
  );
}

function decideScale(
  plan: ColumnPlan,
  sample: Sample,
  { shape }: Header,
  asked: number | null,
): { scale: number | null; scaleWhy: string | null } {
  if (asked !== null)
    return { scale: asked === 0 ? null : asked, scaleWhy: asked === 0 ? null : "as --scale says" };
  const prices = plan.numbers.filter(({ isPrice }) => isPrice).flatMap(({ index }) => sample.texts(index));
  const sizes = prices
    .filter(isWholeText)
    .map((text) => Math.abs(Number(text)))
    .filter((size) => size > 0 && size < 9e18);
  if (sizes.length === 0 || !prices.every((text) => isWholeText(text) || Number.isNaN(Number(text)))) {
    return { scale: null, scaleWhy: null };
  }
  const least = sizes.reduce((min, size) => Math.min(min, size), Number.POSITIVE_INFINITY);
  if (shape?.fixedPoint !== undefined && least >= 1_000)
    return { scale: shape.fixedPoint, scaleWhy: `as whole prices of ${shape.name} are` };
  if (least < SUSPICIOUS_PRICE) return { scale: null, scaleWhy: null };
  throw new DoubtError(
    `all prices are whole and large, such as ${prices.find(isWholeText)}: are they of fixed point? --scale 1e-9 (or 0.0001, …) says what one is, --scale 1 that they are prices`,
  );
}
