/** All rows of a body, read and checked, as columns of their kind. */
import type { SentTable, WireColumn } from "../../formats/sent-table.ts";
import { parseInterval } from "../../market/interval.ts";
import { badRequest } from "../../protocol/errors.ts";
import { Dictionary } from "../../storage/column-values.ts";
import type { ColumnBatch, ColumnData } from "../../storage/model/columns.ts";
import { type KindName, kindOf, partName } from "../../storage/model/kinds.ts";
import { turn } from "../../time/pauses.ts";
import { requireTicker, show } from "../params.ts";
import { readExtra } from "./sent-extra.ts";
import { namedColumns, type SentColumns, type WrittenTable } from "./sent-names.ts";
import { readStamps } from "./sent-stamps.ts";
import {
  eachRow,
  type ReadPlace,
  readCounts,
  readDoubles,
  readIds,
  readSeqs,
  valueReader,
  wrong,
} from "./sent-values.ts";

/** What rows are of. */
export interface WrittenSeries {
  table: WrittenTable;
  kind: KindName;
  part: string | null;
}

export interface ReadRows {
  rows: number;
  tickers: { codes: Int32Array; dictionary: string[] };
  /** Without the ticker; columns that no row brings are left out. */
  batch: ColumnBatch;
  /** Whether the row doesn't bring the value at all; in a text file or an array every row does. */
  lacks(column: string, row: number): boolean;
  warnings: string[];
}

/** An answer without rows may have no columns either. */
const NO_ROWS: ReadRows = {
  rows: 0,
  tickers: { codes: new Int32Array(0), dictionary: [] },
  batch: { rows: 0, columns: new Map() },
  lacks: () => true,
  warnings: [],
};

export interface RowsRequest extends WrittenSeries {
  /** Of rows that name none. */
  symbol: string | null;
  /** Of stamps that say none; null: UTC. */
  zone: string | null;
}

/** @throws RequestError 400 naming row, column and value. */
export async function readRows(sent: SentTable, request: RowsRequest): Promise<ReadRows> {
  const { table, kind } = request;
  const { rows } = sent;
  if (rows === 0) return NO_ROWS;
  const columns = namedColumns(table, kind, sent);
  const place: ReadPlace = { rows, placeOf: (row) => `row ${row + 1}${sent.placeOf(row)}` };
  const warnings = noteUnknown(columns);
  const tickers = await readTickers(sent, columns, place, request.symbol);
  for (const column of columns.constant) await checkConstant(column, request, place);
  const { stamp, values } = kindOf(kind);
  let isZoneAssumed = false;
  const stamps = await readStamps(
    columns.timestamp,
    { type: stamp.type as "date", zone: request.zone, assumed: () => (isZoneAssumed = true) },
    { place, tickerOf: (row) => tickers.dictionary[tickers.codes[row]!]! },
  );
  if (isZoneAssumed) warnings.push("timestamps without a zone were read as UTC; tz= names another zone");
  const read = new Map<string, ColumnData>([[stamp.name, stamps]]);
  for (const { name, type } of values) {
    const column = columns.values.get(name);
    if (type === "json") {
      const extra = await readExtra(columns, place);
      if (extra !== null) read.set(name, extra);
    } else if (column !== undefined) read.set(name, await readerOf(type)(column, place));
    else if (kind === "ticks" && (name === "price" || name === "size")) read.set(name, noNumbers(rows));
    await turn();
  }
  const seq = columns.values.get("seq");
  if (seq !== undefined) read.set("seq", await readSeqs(seq, place));
  return {
    rows,
    tickers,
    batch: { rows, columns: read },
    lacks: (name, row) => {
      const column = columns.values.get(name);
      return column === undefined || (column.cells.form === "values" && column.cells.at(row) === undefined);
    },
    warnings,
  };
}

function readerOf(type: string): typeof readDoubles {
  if (type === "count") return readCounts;
  return type === "double" ? readDoubles : readIds;
}

const NAMES_SHOWN_MAX = 20;

function noteUnknown({ unknown }: SentColumns): string[] {
  if (unknown.length === 0) return [];
  const names = unknown.slice(0, NAMES_SHOWN_MAX).map((name) => show(name));
  const more = unknown.length > NAMES_SHOWN_MAX ? ` and ${unknown.length - NAMES_SHOWN_MAX} more` : "";
  return [`no columns of the table, kept as members of extra: ${names.join(", ")}${more}`];
}

async function readTickers(
  { tickerOf }: SentTable,
  { symbol }: SentColumns,
  place: ReadPlace,
  fallback: string | null,
): Promise<ReadRows["tickers"]> {
  const texts = new Dictionary(place.rows);
  const at = symbol === null ? () => null : valueReader(symbol);
  let last: unknown = null;
  let lastTicker = "";
  await eachRow(place.rows, (row) => {
    const own = at(row) ?? null;
    const group = tickerOf?.(row) ?? null;
    if (own !== null && group !== null && String(own) !== group)
      throw wrong(symbol!, row, place, `${show(group)}, under which the row stands`);
    const value = own ?? group ?? fallback;
    if (value !== last || row === 0) {
      lastTicker = tickerAt(value, row, place);
      last = value;
    }
    texts.set(row, lastTicker);
  });
  const { codes, dictionary } = texts.data;
  return { codes, dictionary };
}

function tickerAt(value: unknown, row: number, { placeOf }: ReadPlace): string {
  const missing = `${placeOf(row)} has no symbol, expected a column symbol, or symbol= in the URL`;
  try {
    return requireTicker(value, missing);
  } catch (error) {
    if (error instanceof Error && error.message !== missing)
      throw badRequest(`${placeOf(row)}.symbol: ${error.message}`);
    throw error;
  }
}

/** A column whose every value follows from the request, in a file of another kind of rows. */
async function checkConstant(
  column: WireColumn,
  { kind, part }: RowsRequest,
  place: ReadPlace,
): Promise<void> {
  const at = valueReader(column);
  const expected = partName(kind, part);
  await eachRow(place.rows, (row) => {
    const value = at(row) ?? null;
    if (value === null || value === expected) return;
    if (kind !== "ticks" && parseInterval(String(value)) === expected) return;
    throw wrong(column, row, place, `${show(expected)}, as the request says`);
  });
}

function noNumbers(rows: number): ColumnData {
  return { type: "double", values: new Float64Array(rows), nulls: new Uint8Array(rows).fill(1) };
}
