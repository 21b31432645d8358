/** Looks at all files before the first row is stored: their layouts, and whose rows they have. */

import { simplify } from "../../market/column-names.ts";
import { CsvError, quote } from "../../market/csv.ts";
import { csvPieces, type RowPiece, type SourceRow } from "./csv-rows.ts";
import { DoubtError, listed } from "./doubt.ts";
import { type FolderNames, folderNames } from "./export-columns.ts";
import { FileActions } from "./file-actions.ts";
import type { TickerPattern } from "./file-ticker.ts";
import { headerKey, tickerAbove } from "./header.ts";
import { findInputs } from "./inputs.ts";
import { decideLayout, type Layout, type ReadingOptions, type SampledFile, tickerIn } from "./layout.ts";
import { type PlainForm, PlainTickLines, plainFormOf } from "./plain-ticks.ts";
import type { PreparedFile } from "./prepared-file.ts";
import { DamagedSourceError, openSources, type Source, SourceError } from "./source.ts";
import { openTable, placeOf, type SourceTable, type TableOptions } from "./table.ts";

export interface PrepareOptions extends ReadingOptions, TableOptions {
  /** Paths, folders and patterns; `-` is standard input. */
  files: readonly string[];
  ticker: string | null;
  tickerFrom: TickerPattern | null;
  /** Files without rows are left out. */
  skipBad: boolean;
}

export interface Prepared {
  files: PreparedFile[];
  /** Files with a header and no rows, which `--skip-bad` leaves out. */
  empty: string[];
  /** Corporate actions that are taken from the files; null: none were asked for. */
  actions: FileActions | null;
}

/** Rows of a file that decide its layout, fewer where there are many files. */
const SAMPLE_ROWS = { max: 1_000, min: 20, all: 50_000 };
/** A pipe may be slow. */
const PIPE_ROWS = 100;
const TICKERS_SHOWN = 5;
const NO_FAULTS = { blank: false, padded: false };
const TICKERS_SEEN_MAX = 1_000;

/** @throws SourceError @throws DoubtError @throws CsvError */
export async function prepareFiles(options: PrepareOptions): Promise<Prepared> {
  const sources: Source[] = [];
  for (const path of findInputs(options.files)) sources.push(...(await openSources(path)));
  const share = Math.floor(SAMPLE_ROWS.all / sources.length);
  const rowsMax = Math.max(SAMPLE_ROWS.min, Math.min(SAMPLE_ROWS.max, share));
  const opened: OpenedFile[] = [];
  for (const source of sources) opened.push(await openFile(source, options, rowsMax));
  const { files, empty } = await decideAll(opened, options);
  if (files.length === 0) throw new SourceError(`${listed(empty)}: a header and no rows`);
  const actions = options.actions === null ? null : await FileActions.of(files, options.actions);
  return { files, empty, actions };
}

interface OpenedFile {
  source: Source;
  table: SourceTable;
  head: SampledFile;
  /** The rows that were read, and those after them, of a source that can't be read twice. */
  rest: AsyncGenerator<SourceRow[]> | null;
  folder: FolderNames;
}

async function openFile(source: Source, options: PrepareOptions, rowsMax: number): Promise<OpenedFile> {
  const table = await openTable(source, options);
  const sample: SourceRow[] = [];
  const wanted = source.repeatable ? rowsMax : PIPE_ROWS;
  try {
    while (sample.length < wanted) {
      const batch = await table.batches.next();
      if (batch.done) break;
      sample.push(...batch.value);
    }
  } catch (error) {
    // The rows before a broken one decide; it is told when its turn comes.
    if (!(error instanceof SourceError) || error instanceof DamagedSourceError || sample.length < 2)
      throw error;
  }
  const rows = source.repeatable ? sample.slice(0, wanted) : sample;
  if (rows.length === 0 && table.columns === null)
    throw new SourceError(`${source.name} is empty, expected a header and rows`);
  let rest: AsyncGenerator<SourceRow[]> | null = null;
  if (source.repeatable) await table.batches.return(undefined);
  else rest = prepend(sample, table.batches);
  const everyRow = async (visit: (row: SourceRow) => void): Promise<void> => {
    if (!source.repeatable) return sample.forEach(visit);
    for await (const batch of (await openTable(source, options)).batches) batch.forEach(visit);
  };
  const folder = folderNames(source.name);
  const where = (line: number): string => placeOf(table, line);
  const ticker = (): string | null => tickerOf(source, folder, tickerAbove(table.columns, rows), options);
  const { columns, text } = table;
  const separator = text?.separator ?? null;
  const head = { where, columns, separator, rows, part: folder.part, everyRow, ticker };
  return { source, table, head, rest, folder };
}

async function* prepend(rows: SourceRow[], rest: AsyncGenerator<SourceRow[]>): AsyncGenerator<SourceRow[]> {
  try {
    if (rows.length > 0) yield rows;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

async function decideAll(
  opened: OpenedFile[],
  options: PrepareOptions,
): Promise<Pick<Prepared, "files" | "empty">> {
  const groups = new Map<string, OpenedFile[]>();
  for (const file of opened) {
    const group = groups.get(signatureOf(file));
    if (group === undefined) groups.set(signatureOf(file), [file]);
    else group.push(file);
  }
  const prepared = new Map<OpenedFile, PreparedFile>();
  const empty: string[] = [];
  for (const group of groups.values()) {
    const names = group.map(({ source }) => source.name);
    const layout = await named(names, () => layoutOf(group, options, empty));
    if (layout === null) continue;
    for (const file of group) {
      if (empty.includes(file.source.name)) continue;
      prepared.set(file, await named([file.source.name], () => prepareFile(file, layout, options)));
    }
  }
  return { files: opened.flatMap((file) => prepared.get(file) ?? []), empty };
}

/** Files with the same columns are read alike. */
function signatureOf({ table, head }: OpenedFile): string {
  const isExported = (head.part ?? null) !== null;
  return JSON.stringify([table.format, headerKey(head.columns, head.rows), isExported]);
}

/** @returns null when no file of the group has rows. */
async function layoutOf(
  group: OpenedFile[],
  options: PrepareOptions,
  empty: string[],
): Promise<Layout | null> {
  const full = group.filter(
    ({ head }) => head.rows.length > (head.columns === null && !options.noHeader ? 1 : 0),
  );
  // A file of one row has no header above it, if it is of a shape without one.
  const lone = group.filter((file) => !full.includes(file) && isDataRow(file));
  const withRows = group.filter((file) => full.includes(file) || lone.includes(file));
  const without = group.filter((file) => !withRows.includes(file)).map(({ source }) => source.name);
  if (without.length > 0 && !options.skipBad) {
    throw new SourceError(
      `${listed(without)}: a header and no rows. An empty download is no success${group.length > 1 || withRows.length > 0 ? " (--skip-bad leaves such files out)" : ""}`,
    );
  }
  empty.push(...without);
  if (withRows.length === 0) return null;
  return await decideLayout(
    withRows.map(({ head }) => head),
    options,
  );
}

function isDataRow({ head }: OpenedFile): boolean {
  const fields = head.rows[0]?.fields ?? [];
  return fields.filter((field) => /^\s*[+-]?\d/.test(String(field))).length * 2 > fields.length;
}

async function prepareFile(file: OpenedFile, layout: Layout, options: PrepareOptions): Promise<PreparedFile> {
  const { source, table, rest } = file;
  const rows = (): AsyncGenerator<SourceRow[]> =>
    dataRows(rest ?? reopened(source, options), layout.header.rows);
  const ticker = await decideTicker(file, layout);
  const part = partOf(file, layout, options);
  const form = rest === null && ticker.ticker !== null && part !== null ? plainFormOf(layout) : null;
  const pieces = (): AsyncGenerator<RowPiece> =>
    form === null ? rows() : piecesOf(file, form, layout.header.rows, options);
  return { source, format: table.format, layout, where: file.head.where, rows, pieces, part, ...ticker };
}

async function* piecesOf(
  { source, table }: OpenedFile,
  form: PlainForm,
  headerRows: number,
  options: TableOptions,
): AsyncGenerator<RowPiece> {
  const { text } = table;
  if (text !== null && text.separator.length === 1 && text.linesAbove === 0) {
    const plain = new PlainTickLines(form, text.separator);
    const all = csvPieces(source.name, source.bytes(), { ...text, plain });
    yield* dataPieces(all, headerRows, plain);
    return;
  }
  const opened = await openTable(source, options);
  const plain = headerRows === 0 ? ((await opened.plainTicks?.(form)) ?? null) : null;
  yield* plain ?? dataRows(opened.batches, headerRows);
}

/** The kind that the user or the columns say, unless rows or folders of an export say it. */
function partOf(
  { folder }: OpenedFile,
  { own, kind }: Layout,
  { kind: asked }: PrepareOptions,
): string | null {
  if (own === null || asked !== null) return kind;
  return own.part === null ? (folder.part ?? kind) : null;
}

async function* reopened(source: Source, options: TableOptions): AsyncGenerator<SourceRow[]> {
  yield* (await openTable(source, options)).batches;
}

function dataRows(batches: AsyncGenerator<SourceRow[]>, headerRows: number): AsyncGenerator<SourceRow[]> {
  return dataPieces(batches, headerRows, null);
}

/** Without the header, whose lines are not to be taken for plain ticks. */
async function* dataPieces<P extends RowPiece>(
  pieces: AsyncGenerator<P>,
  headerRows: number,
  plain: PlainTickLines | null,
): AsyncGenerator<P> {
  let above = headerRows;
  if (plain !== null) plain.isOn = above === 0;
  try {
    for await (const piece of pieces) {
      if (above === 0 || !Array.isArray(piece)) {
        yield piece;
        continue;
      }
      const rows = piece.slice(above);
      above = Math.max(0, above - piece.length);
      if (plain !== null) plain.isOn = above === 0;
      if (rows.length > 0) yield rows as P;
    }
  } finally {
    await pieces.return(undefined);
  }
}

type FileTicker = Pick<PreparedFile, "ticker" | "tickerInFile" | "tickersSeen" | "tickerFaults">;

async function decideTicker(file: OpenedFile, layout: Layout): Promise<FileTicker> {
  const { tickerIndex, header } = layout;
  const given = file.head.ticker();
  if (tickerIndex === null) {
    if (given !== null)
      return { ticker: given, tickerInFile: null, tickersSeen: [], tickerFaults: NO_FAULTS };
    throw new DoubtError(
      `whose rows are these? No column names the ticker (${header.names.map(quote).join(", ")}): --ticker T, --ticker-from filename or --ticker-column NAME says it`,
    );
  }
  const seen = new Set<string>();
  const tickerFaults = { ...NO_FAULTS };
  const look = ({ fields }: SourceRow): void => {
    const name = tickerIn(layout, fields);
    if (name === "") tickerFaults.blank = true;
    else if (name !== String(fields[tickerIndex])) tickerFaults.padded = true;
    if (name !== "" && seen.size < TICKERS_SEEN_MAX) seen.add(name);
  };
  file.head.rows.slice(header.rows).forEach(look);
  if (given === null) return { ticker: null, tickerInFile: null, tickersSeen: [...seen], tickerFaults };
  const column = header.names[tickerIndex]!;
  const isOwn = (name: string): boolean => simplify(name) === simplify(given);
  if (![...seen].every(isOwn)) {
    if (!file.source.repeatable) throw otherTicker(given, column, [...seen]);
    let above = header.rows;
    await file.head.everyRow((row) => {
      if (above-- <= 0) look(row);
    });
    if (seen.size > 1) throw otherTicker(given, column, [...seen]);
  }
  return { ticker: given, tickerInFile: [...seen][0] ?? null, tickersSeen: [...seen], tickerFaults };
}

/** @returns null when neither the user nor the file nor its name says it. @throws DoubtError */
function tickerOf(
  source: Source,
  folder: FolderNames,
  above: string | null,
  { ticker, tickerFrom }: PrepareOptions,
): string | null {
  if (ticker !== null) return ticker;
  if (tickerFrom === null) return above ?? folder.ticker;
  const found = source.fileName === null ? null : tickerFrom.tickerOf(source.fileName);
  if (found === null)
    throw new DoubtError(`--ticker-from ${tickerFrom.text}: the name of the file doesn't fit it`);
  return found;
}

function otherTicker(given: string, column: string, seen: string[]): DoubtError {
  const names = seen.slice(0, TICKERS_SHOWN).join(", ") + (seen.length > TICKERS_SHOWN ? ", …" : "");
  return new DoubtError(
    `all rows would be stored as ${given}, but column ${quote(column)} names ${names}: leave the ticker out to store each row under its own, or pass --ticker-column none to disregard the column`,
  );
}

/** Says of which file a doubt or fault is. */
async function named<T>(names: string[], decide: () => Promise<T>): Promise<T> {
  try {
    return await decide();
  } catch (error) {
    if (!(error instanceof DoubtError || error instanceof CsvError)) throw error;
    const more = names.length > 1 ? ` (and ${names.length - 1} more files)` : "";
    throw new DoubtError(`${names[0]}${more}: ${error.message}`, { cause: error });
  }
}
