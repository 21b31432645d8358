/**
 * Finds the names of the columns: in the first row, in a known shape, or as the user gives them.
 */
import { simplify } from "../../market/column-names.ts";
import { findTickerColumn, indexOfOrdinal, quote, type SourceField } from "../../market/csv.ts";
import type { SourceRow } from "./csv-rows.ts";
import { DoubtError } from "./doubt.ts";
import { type FileShape, shapeOfHeader, shapeOfRows } from "./shapes.ts";

export interface HeaderOptions {
  noHeader: boolean;
  /** Names for the columns of a file without a header; blank for one that is left out. */
  columnNames: string[] | null;
}

export interface Header {
  names: string[];
  /** Rows before the first one of data. */
  rows: number;
  /** Whether the names stand in the file. */
  inFile: boolean;
  shape: FileShape | null;
}

const SHAPE_ROWS = 20;
const VALUE = /^[+-]?[$€£]?\d[\d.,:/ T-]*(?:Z|[+-]\d\d:?\d\d)?%?$/;
const VENDOR_LINE = /^https?:\/\/\S*cryptodatadownload/i;

/**
 * @param columns Of a format that has names of its own; null for text.
 * @throws DoubtError
 */
export function findHeader(
  columns: string[] | null,
  rows: readonly SourceRow[],
  options: HeaderOptions,
): Header {
  if (columns !== null) return named(columns, 0, false);
  const texts = textsOf(rows);
  if (options.noHeader) return withoutHeader(texts, options.columnNames);
  const shape = shapeOfRows(texts.slice(0, SHAPE_ROWS));
  if (shape !== null) return { names: shape.columns!, rows: 0, inFile: false, shape };
  const above = VENDOR_LINE.test(texts[0]?.[0] ?? "") ? 1 : 0;
  const first = texts[above] ?? [];
  const yfinance = headerOfYfinance(texts);
  if (yfinance !== null) {
    tickerOfYfinance(texts);
    return yfinance;
  }
  const wide = texts.findIndex((fields) => fields.length > 2);
  if (first.length === 1 && wide > above) {
    throw new DoubtError(
      `line 1 (${quote(first[0]!)}) is no header, as later lines have ${texts[wide]!.length} fields: --skip-lines ${rows[wide]!.line - 1} begins at ${texts[wide]!.slice(0, 4).map(quote).join(", ")}, …`,
    );
  }
  if (first.filter((field) => VALUE.test(field)).length * 2 > first.length) {
    throw new DoubtError(
      `line 1 (${first.slice(0, 8).map(quote).join(", ")}) looks like data, not like a header: ` +
        "--no-header --columns NAME,NAME,… gives the columns their names, such as timestamp,open,high,low,close,volume",
    );
  }
  return named(first, above + 1, true);
}

function named(names: string[], rows: number, inFile: boolean): Header {
  const clean = names.map((name) => name.replace("\uFEFF", "").trim());
  return { names: clean, rows, inFile, shape: shapeOfHeader(clean) };
}

function withoutHeader(texts: string[][], columnNames: string[] | null): Header {
  const width = texts[0]?.length ?? 0;
  if (columnNames !== null) {
    if (columnNames.length !== width) {
      throw new DoubtError(
        `--columns has ${columnNames.length} names, and the first row ${width} fields: expected as many`,
      );
    }
    return { names: columnNames, rows: 0, inFile: false, shape: null };
  }
  const shape = shapeOfRows(texts.slice(0, SHAPE_ROWS));
  if (shape !== null) return { names: shape.columns!, rows: 0, inFile: false, shape };
  const row = (texts[0] ?? []).slice(0, 12).map(quote).join(", ");
  throw new DoubtError(
    `the first row (${row}) is of no known shape: --columns NAME,NAME,… gives its columns their names`,
  );
}

/** yfinance writes "Price,Close,…", "Ticker,AAPL,…" and "Date,,…" above its rows. */
function headerOfYfinance(texts: string[][]): Header | null {
  const [names = [], tickers = [], stamp = []] = texts;
  if (names[0] !== "Price" || tickers[0] !== "Ticker" || !/^date/i.test(stamp[0] ?? "")) return null;
  const columns = [stamp[0]!, ...names.slice(1)];
  return { names: columns, rows: 3, inFile: true, shape: shapeOfHeader(columns) };
}

/** @throws DoubtError There are several. */
function tickerOfYfinance(texts: string[][]): string {
  const distinct = [...new Set(texts[1]!.slice(1))];
  if (distinct.length === 1) return distinct[0]!;
  throw new DoubtError(
    `the columns are of ${distinct.length} tickers (${distinct.slice(0, 5).join(", ")}) side by side: expected one ticker to a file, or a column that names it`,
  );
}

/** @returns the ticker that a file names above its rows, or null. @throws DoubtError */
export function tickerAbove(columns: string[] | null, rows: readonly SourceRow[]): string | null {
  if (columns !== null) return null;
  const texts = textsOf(rows);
  return headerOfYfinance(texts) === null ? null : tickerOfYfinance(texts);
}

/** What tells files apart that can't be read alike: their columns, or the form of their rows. */
export function headerKey(columns: string[] | null, rows: readonly SourceRow[]): unknown {
  if (columns !== null) return columns;
  const texts = textsOf(rows);
  const first = texts[0] ?? [];
  const yfinance = headerOfYfinance(texts);
  if (yfinance !== null) return [yfinance.rows, yfinance.names];
  if (VENDOR_LINE.test(first[0] ?? "")) return texts.slice(0, 2);
  if (!first.some((field) => /^[+-]?\d/.test(field))) return first;
  return [first.length, shapeOfRows(texts.slice(0, SHAPE_ROWS))?.name ?? null];
}

/** @returns index of a column by its name, as written or simplified. @throws DoubtError */
export function columnIndex(names: readonly string[], wanted: string, flag: string): number {
  const exact = names.indexOf(wanted);
  if (exact >= 0 && names.indexOf(wanted, exact + 1) >= 0) {
    throw new DoubtError(
      `${flag}: ${names.filter((name) => name === wanted).length} columns are called ${quote(wanted)}: ${quote(`${wanted}.1`)} is the first of them from the left, ${quote(`${wanted}.2`)} the second`,
    );
  }
  const index = exact >= 0 ? exact : (indexOfOrdinal(names, wanted) ?? indexOfSimilar(names, wanted));
  if (index >= 0) return index;
  throw new DoubtError(`${flag}: no column ${quote(wanted)}; the file has ${names.map(quote).join(", ")}`);
}

function indexOfSimilar(names: readonly string[], wanted: string): number {
  return names.findIndex((name) => simplify(name) === simplify(wanted));
}

/**
 * The user's and the shape's columns by target.
 * @throws DoubtError
 */
export function chosenColumns(
  { names, shape }: Header,
  asked: readonly { target: string; column: string }[],
): Map<string, number> {
  const chosen = new Map<string, number>();
  for (const [target, known] of Object.entries(shape?.targets ?? {})) {
    for (const each of known) {
      const index = names.findIndex((name) => simplify(name) === each);
      if (index < 0) continue;
      chosen.set(target, index);
      break;
    }
  }
  for (const { target, column } of asked)
    chosen.set(target, columnIndex(names, column, `--column ${target}=${column}`));
  return chosen;
}

/** @returns null when no column names the ticker. @throws DoubtError */
export function tickerColumn(
  names: readonly string[],
  chosen: ReadonlyMap<string, number>,
  asked: string | null,
): number | null {
  if (asked === "none") return null;
  if (asked !== null) return columnIndex(names, asked, "--ticker-column");
  return chosen.get("ticker") ?? findTickerColumn(names);
}

/** Of rows that may be a header, or tell a shape. */
function textsOf(rows: readonly SourceRow[]): string[][] {
  return rows.slice(0, SHAPE_ROWS + 3).map((row) => row.fields.map(textOf));
}

function textOf(field: SourceField): string {
  return String(field ?? "").trim();
}
