/**
 * Rows of another server as columns: series by series, each out of one answer, and so from one
 * snapshot of its own; its commands have no snapshot of several.
 */
import { BatchCells } from "../column-cells.ts";
import type { RowRange } from "../contract.ts";
import { type ColumnBatch, type ColumnQuery, rowColumnNames } from "../model/columns.ts";
import { type KindName, kindOf, type SeriesRow } from "../model/kinds.ts";
import type { RemoteReader } from "./remote-reader.ts";

/** Some ms of work. */
const BATCH_ROWS = 4_096;
const TICKERS_PER_QUESTION = 10_000;

/** @param rowsOf the rows of one series, in order. @throws TransferRowError */
export async function* readColumns(
  reader: RemoteReader,
  query: ColumnQuery,
  rowsOf: (range: RowRange, signal: AbortSignal | undefined) => AsyncIterable<SeriesRow[]>,
): AsyncGenerator<ColumnBatch> {
  const { kind: name, from, to, columns, signal } = query;
  const kind = kindOf(name);
  const batch = new BatchCells(kind, columns, BATCH_ROWS);
  const places = columns.map((column) => rowColumnNames(name).indexOf(column));
  for (const ticker of await tickersOf(reader, query)) {
    for (const part of await partsOf(reader, ticker, query)) {
      signal?.throwIfAborted();
      const series = columns.map((column) =>
        column === "ticker" ? ticker : column === kind.part ? part : null,
      );
      for await (const rows of rowsOf({ kind: name, ticker, part, from, to }, signal)) {
        for (const row of rows) {
          batch.add(places.map((place, index) => (place < 0 ? series[index]! : row[place]!)));
          if (batch.room > 0) continue;
          yield batch.end();
          await new Promise(setImmediate);
          signal?.throwIfAborted();
        }
      }
    }
  }
  if (batch.rows > 0) yield batch.end();
}

async function tickersOf(reader: RemoteReader, { kind, tickers, signal }: ColumnQuery): Promise<string[]> {
  if (tickers !== null) return inByteOrder(tickers);
  const found: string[] = [];
  for (;;) {
    signal?.throwIfAborted();
    const page: string[] = await reader.tickers(kind, found.at(-1) ?? null, TICKERS_PER_QUESTION);
    found.push(...page);
    if (page.length < TICKERS_PER_QUESTION) return inByteOrder(found);
  }
}

async function partsOf(
  reader: RemoteReader,
  ticker: string,
  { kind, part }: { kind: KindName; part: string | null },
): Promise<(string | null)[]> {
  if (part !== null || kindOf(kind).part === null) return [part];
  return inByteOrder(await reader.parts(kind, ticker));
}

/** Each once. The order of UTF-16 is another. */
function inByteOrder(texts: readonly string[]): string[] {
  const bytes = new Map(texts.map((text) => [text, Buffer.from(text)]));
  return [...bytes].sort(([, a], [, b]) => Buffer.compare(a, b)).map(([text]) => text);
}
