/** Turns the rows of a prepared file into records and their tickers. */
import { numberColumns, simplify } from "../../market/column-names.ts";
import {
  addExtra,
  CsvError,
  type CsvKind,
  type CsvRecord,
  extraOf,
  isBars,
  quote,
  readRecord,
} from "../../market/csv.ts";
import { parseInterval } from "../../market/interval.ts";
import type { SourceRow } from "./csv-rows.ts";
import { type ExportColumns, extraMembers } from "./export-columns.ts";
import { tickerIn } from "./layout.ts";
import type { PreparedFile } from "./prepared-file.ts";
import { readRow } from "./row-columns.ts";

export interface ReadRow {
  ticker: string;
  /** The type of a tick, or the length of a bar. */
  part: string;
  record: CsvRecord;
  /** Which number an exported tick has within its stamp; null for others. */
  place: number | null;
}

/** @returns a function that throws CsvError for a row that can't be read. */
export function rowReader(file: PreparedFile): (row: SourceRow) => ReadRow {
  const { layout, ticker: fixed, tickerInFile, part: fixedPart } = file;
  const { plan, tickerIndex, own } = layout;
  const { kind } = plan;
  const rules = layout.rules();
  const isTick = !isBars(kind);
  const column = tickerIndex === null ? "" : layout.header.names[tickerIndex]!;

  const tickerOf = (row: SourceRow): string => {
    if (tickerIndex === null) return fixed!;
    const named = tickerIn(layout, row.fields);
    if (fixed === null) {
      if (named === "") throw new CsvError(`column ${quote(column)}: expected a ticker, got nothing`);
      return named;
    }
    if (named === tickerInFile || named === "") return fixed;
    throw new CsvError(
      `column ${quote(column)} names ${quote(named)} in a file of ${tickerInFile ?? fixed}, whose rows are stored as ${fixed}`,
    );
  };

  const columns = layout.rows;
  if (columns !== null) {
    const isText = file.format.startsWith("text");
    return (row) => {
      const record = readRow(columns, row, isText);
      return { ticker: tickerOf(row), part: columns.kind, record, place: null };
    };
  }
  return (row) => {
    const ticker = tickerOf(row);
    for (const check of layout.checks) check(row.fields);
    const record = readRecord(plan, row.fields, rules, ticker);
    // A tick always has a size, if only null.
    if (isTick) record.size ??= null;
    if (row.more !== undefined) addLate(record, row.more, kind);
    const part = fixedPart ?? partOf(row, own!, kind);
    return { ticker, part, record, place: own === null ? null : readOwn(record, row, own, plan.id?.index) };
  };
}

/** What an export says of each row. */
function partOf({ fields }: SourceRow, { part }: ExportColumns, kind: CsvKind): string {
  const text = String(fields[part!] ?? "");
  if (text === "") throw new CsvError("expected a type or an interval, got nothing");
  if (!isBars(kind)) return text;
  const interval = parseInterval(text);
  const isLike =
    kind === "daily" || kind === "hourly" ? interval === kind : interval !== "daily" && interval !== "hourly";
  if (interval !== null && isLike) return interval;
  throw new CsvError(`column "interval": got ${quote(text)} among ${kind} bars`);
}

/** @returns the number of a tick within its stamp. */
function readOwn(
  record: CsvRecord,
  { fields }: SourceRow,
  { place, extra }: ExportColumns,
  idIndex: number | undefined,
): number | null {
  // With the blanks around it.
  const id = idIndex === undefined ? "" : String(fields[idIndex] ?? "");
  if (id !== "") record.id = id;
  const members = extra === null ? null : extraMembers(fields[extra] ?? null);
  if (members !== null) record.extra = { ...extraOf(record), ...members };
  const text = place === null ? "" : String(fields[place] ?? "");
  return /^\d{1,10}$/.test(text) ? Number(text) : null;
}

/** Members that came up after the columns were decided may not be one of them by another name. */
function addLate(record: CsvRecord, more: NonNullable<SourceRow["more"]>, kind: CsvKind): void {
  for (const [name, value] of Object.entries(more)) {
    const known = numberColumns(kind).find((each) => each.known.includes(simplify(name)));
    if (known !== undefined && record[known.name] === undefined) {
      throw new CsvError(
        `${quote(name)} comes up here for the first time: expected every column in the first rows, or --column ${known.name}=NAME`,
      );
    }
    if (!Object.hasOwn(extraOf(record), name)) addExtra(record, name, value);
  }
}
