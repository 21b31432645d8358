/** The newest rows of many tickers, as columns of an answer. */
import { parseTimestamp, toHourly } from "../market/timestamp.ts";
import { type JsonRecord, stringifyExact } from "../protocol/json.ts";
import { answeredRows } from "../storage/answered-rows.ts";
import { BatchCells, typeOfColumn } from "../storage/column-cells.ts";
import { type ColumnBatch, type ColumnData, rowColumnNames } from "../storage/model/columns.ts";
import { type KindName, kindOf, type SeriesValue } from "../storage/model/kinds.ts";
import { AnswerBatches } from "./answer-batches.ts";
import { type MarketTable, usualColumns } from "./answer-columns.ts";
import type { AnswerTable } from "./contract.ts";
import type { MarketSource } from "./questions.ts";

/** Reads of one answer that are under way at once. */
const READS_AT_ONCE = 8;
const DATE_LENGTH = "2024-01-02".length;

export interface NewestSeries {
  table: MarketTable;
  kind: KindName;
  part: string | null;
  /** 0 the newest row, 1 the one before it. */
  back: 0 | 1;
}

export interface NewestRows {
  columns: AnswerTable["columns"];
  /** A row for each ticker, in their order; those without a row have no other value. */
  batch: ColumnBatch;
  isFound: boolean[];
}

export async function newestRows(
  series: NewestSeries,
  tickers: readonly string[],
  zone: string,
  source: MarketSource,
): Promise<NewestRows> {
  const { table, kind: name } = series;
  const kind = kindOf(name);
  const shape = new AnswerBatches({ table, kind: name, columns: usualColumns(table), zone });
  const names = ["ticker", ...rowColumnNames(name)];
  const cells = new BatchCells(kind, names, tickers.length);
  const isFound: boolean[] = [];
  for (let at = 0; at < tickers.length; at += READS_AT_ONCE) {
    const some = tickers.slice(at, at + READS_AT_ONCE);
    const records = await Promise.all(some.map((ticker) => newestRecord(series, ticker, source)));
    for (const [index, record] of records.entries()) {
      isFound.push(record !== null);
      cells.add(
        names.map((column): SeriesValue => {
          if (column === "ticker") return some[index]!;
          return record === null ? null : storedValue(record[column], typeOfColumn(kind, column));
        }),
      );
    }
  }
  return { columns: shape.columns, batch: shape.of(cells.end()), isFound };
}

async function newestRecord(
  { kind, part, back }: NewestSeries,
  ticker: string,
  source: MarketSource,
): Promise<JsonRecord | null> {
  const limit = back + 1;
  const rows = await source.newest({
    ...{ kind, ticker, part, from: null, to: null, limit },
    ...{ withExtra: true, withSeq: true },
  });
  const records: JsonRecord[] = [];
  for await (const some of answeredRows(rows)) records.push(...some);
  return records.length === limit ? records[0]! : null;
}

/** Out of an answer, in the form in which it is stored. */
export function storedValue(value: unknown, type: ReturnType<typeof typeOfColumn>): SeriesValue {
  if (value === null || value === undefined) return null;
  if (type === "json") return stringifyExact(value);
  if (type === "text") return String(value);
  if (type === "date") return String(value).slice(0, DATE_LENGTH);
  if (type === "instant") return parseTimestamp(value);
  if (type === "second") return toHourly(parseTimestamp(value)!);
  return typeof value === "bigint" ? String(value) : (value as number);
}

/** The rows that were found, as a table. */
export function tableOfNewest(rows: NewestRows): AnswerTable {
  return tableOfRows(rows.columns, rows.batch, (row) => rows.isFound[row]!);
}

export function tableOfRows(
  columns: AnswerTable["columns"],
  batch: ColumnBatch,
  isWanted: (row: number) => boolean,
): AnswerTable {
  const found = rowsWhere(batch, isWanted);
  return {
    columns,
    names: new Map(),
    batches: (async function* () {
      if (found.rows > 0) yield found;
    })(),
    nextPage: () => null,
    positions: null,
    warnings: () => [],
  };
}

function rowsWhere({ rows, columns }: ColumnBatch, isWanted: (row: number) => boolean): ColumnBatch {
  const wanted = Array.from({ length: rows }, (_, row) => row).filter(isWanted);
  const picked = [...columns].map(([name, data]): [string, ColumnData] => {
    const nulls = data.nulls === null ? null : Uint8Array.from(wanted, (row) => data.nulls![row]!);
    if (data.type === "text")
      return [name, { ...data, codes: Int32Array.from(wanted, (row) => data.codes[row]!), nulls }];
    const values = data.values.slice(0, wanted.length);
    for (const [to, from] of wanted.entries()) values[to] = data.values[from]!;
    return [name, { ...data, values, nulls } as ColumnData];
  });
  return { rows: wanted.length, columns: new Map(picked) };
}
