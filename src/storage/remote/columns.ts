/**
 * Rows of another server as columns: series by series, each out of one answer, and so from one
 * snapshot of its own; its commands have no snapshot of several.
 */
import { BrokenAnswerError } from "../answered-rows.ts";
import { BatchCells } from "../column-cells.ts";
import { type JsonRows, type StockReader, TransferRowError } from "../contract.ts";
import type { ColumnBatch, ColumnQuery, RowKey, WalkPositions } from "../model/columns.ts";
import { kindOf, partName, type SeriesRow } from "../model/kinds.ts";
import { partsInOrder, tickersInOrder } from "../series-order.ts";
import { AnswerColumns } from "./answer-columns.ts";
import { ascendingRows, descendingRows } from "./column-window.ts";

/** Some ms of work. */
const BATCH_ROWS = 4_096;
const TICKERS_PER_QUESTION = 10_000;
/** Beginnings of a series that bring no new row, one after the other. */
const TRIES_MAX = 5;

/** What the upstream is asked. */
type RowsReader = Pick<StockReader, "rows" | "tickers" | "parts" | "updates">;
type RemoteSeries = ColumnQuery & { ticker: string; part: string | null };

/** @throws TransferRowError */
export async function* readColumns(reader: RowsReader, query: ColumnQuery): AsyncGenerator<ColumnBatch> {
  const { signal, limit, after, order, onPositions } = query;
  signal?.throwIfAborted();
  if (onPositions !== undefined) onPositions(await positionsOf(reader, query));
  const isPlain = limit == null && after == null && order !== "descending";
  yield* isPlain ? readAll(reader, query) : readWindow(reader, query);
}

/** Noted before the rows are read: there is no snapshot of both. */
async function positionsOf({ updates }: RowsReader, { tickers }: ColumnQuery): Promise<WalkPositions> {
  return { epoch: await updates.epoch(), positions: await updates.positions(tickers) };
}

async function* readAll(reader: RowsReader, query: ColumnQuery): AsyncGenerator<ColumnBatch> {
  const { kind: name, columns, signal } = query;
  const batch = new BatchCells(kindOf(name), columns, BATCH_ROWS);
  for await (const series of seriesOf(reader, query)) {
    for await (const full of seriesInto(batch, reader, series)) {
      yield full;
      await new Promise(setImmediate);
      signal?.throwIfAborted();
    }
  }
  if (batch.rows > 0) yield batch.end();
}

/** Commands of the upstream know neither `seq` nor an order: its rows are chosen here. */
async function* readWindow(reader: RowsReader, query: ColumnQuery): AsyncGenerator<ColumnBatch> {
  const { columns, limit, after, order } = query;
  const kind = kindOf(query.kind);
  const names = [...new Set([...columns, kind.stamp.name, ...(kind.hasSeq ? ["seq"] : [])])];
  let left = limit ?? Number.POSITIVE_INFINITY;
  for await (const series of seriesOf(reader, query)) {
    if (left <= 0) return;
    const isFirst = after != null && series.ticker === after.ticker && series.part === after.part;
    const window = { columns, behind: isFirst ? after : null, limit: left };
    const rows = oneSeries(reader, boundedBy({ ...series, columns: names }, window.behind));
    const chosen =
      order === "descending"
        ? descendingRows(query.kind, rows, window)
        : ascendingRows(query.kind, rows, window);
    for await (const batch of chosen) {
      left -= batch.rows;
      yield batch;
      await new Promise(setImmediate);
      query.signal?.throwIfAborted();
    }
  }
}

function boundedBy(series: RemoteSeries, behind: RowKey | null): RemoteSeries {
  if (behind === null) return series;
  const { from, to, order } = series;
  const { stamp } = behind;
  if (order === "descending") return { ...series, to: to === null || stamp < to ? stamp : to };
  return { ...series, from: from === null || stamp > from ? stamp : from };
}

async function* oneSeries(reader: RowsReader, series: RemoteSeries): AsyncGenerator<ColumnBatch> {
  const batch = new BatchCells(kindOf(series.kind), series.columns, BATCH_ROWS);
  yield* seriesInto(batch, reader, series);
  if (batch.rows > 0) yield batch.end();
}

async function* seriesOf(reader: RowsReader, query: ColumnQuery): AsyncGenerator<RemoteSeries> {
  for (const ticker of await tickersOf(reader, query)) {
    for (const part of await partsOf(reader, ticker, query)) {
      query.signal?.throwIfAborted();
      yield { ...query, ticker, part };
    }
  }
}

/** What is full on the way. An answer that breaks off is asked for again from the last row on. */
async function* seriesInto(
  batch: BatchCells,
  reader: RowsReader,
  { kind, ticker, part, from, to, columns, signal }: RemoteSeries,
): AsyncGenerator<ColumnBatch> {
  const { part: partColumn, hasSeq } = kindOf(kind);
  const series = { ticker, ...(partColumn === null ? {} : { [partColumn]: part! }) };
  let last: SeriesRow | null = null;
  for (let tries = 1; ; tries++) {
    const until: SeriesRow | null = last;
    const rows = new AnswerColumns({ kind, batch, names: columns, series, until });
    const asks = kindOf(kind).values.some(({ name, onRequest }) => onRequest && columns.includes(name));
    const form = { withSeq: hasSeq, withExtra: asks };
    const range = { kind, ticker, part, from: until?.[0] ?? from, to, ...form };
    try {
      for await (const piece of piecesOf(await reader.rows(range, signal))) {
        if (piece === null) rows.end();
        else rows.push(piece);
        for (rows.take(); batch.room === 0; rows.take()) yield batch.end();
      }
      return;
    } catch (error) {
      if (error instanceof TransferRowError)
        throw new TransferRowError(`${ticker} ${partName(kind, part)}: ${error.message}`);
      if (!(error instanceof BrokenAnswerError)) throw error;
      last = rows.lastRow;
      if (isSameRow(last, until)) {
        if (tries === TRIES_MAX) throw error;
      } else tries = 1;
    }
  }
}

/** Null after the last. */
async function* piecesOf(answer: JsonRows): AsyncGenerator<Uint8Array | null> {
  if (answer.empty) return;
  const chunks = "text" in answer ? [answer.text] : answer.chunks;
  for await (const chunk of chunks) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
  yield null;
}

function isSameRow(a: SeriesRow | null, b: SeriesRow | null): boolean {
  return a === b || (a !== null && b !== null && a[0] === b[0] && a.at(-1) === b.at(-1));
}

async function tickersOf(reader: RowsReader, query: ColumnQuery): Promise<string[]> {
  const { kind, tickers, signal } = query;
  if (tickers !== null) return tickersInOrder(tickers, query);
  const found: string[] = [];
  for (;;) {
    signal?.throwIfAborted();
    const page: string[] = await reader.tickers(kind, found.at(-1) ?? null, TICKERS_PER_QUESTION);
    found.push(...page);
    if (page.length < TICKERS_PER_QUESTION) return tickersInOrder(found, query);
  }
}

async function partsOf(reader: RowsReader, ticker: string, query: ColumnQuery): Promise<(string | null)[]> {
  const { kind, parts } = query;
  if (kindOf(kind).part === null) return [null];
  return partsInOrder(ticker, parts ?? (await reader.parts(kind, ticker)), query);
}
