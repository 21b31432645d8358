/** Rows of a database in memory as columns. */

import { BatchCells } from "../../src/storage/column-cells.ts";
import type { ColumnBatch, ColumnQuery } from "../../src/storage/model/columns.ts";
import { kindOf, type SeriesValue } from "../../src/storage/model/kinds.ts";
import { compareTexts } from "../../src/storage/series-order.ts";
import type { MemorySeries, MemoryTables } from "./memory-tables.ts";

const BATCH_ROWS = 1_000;

export async function* readColumns(tables: MemoryTables, query: ColumnQuery): AsyncGenerator<ColumnBatch> {
  const { kind: name, columns, limit, signal } = query;
  signal?.throwIfAborted();
  const kind = kindOf(name);
  const names = [kind.stamp.name, ...kind.values.map((value) => value.name)];
  const places = columns.map((column) => (column === "seq" ? names.length : names.indexOf(column)));
  // All of it is found at once, and so is one snapshot.
  const found = rowsOf(tables, query).slice(0, limit ?? undefined);
  query.onPositions?.({ epoch: tables.epoch, positions: positionsIn(tables, query.tickers) });
  const batch = new BatchCells(kind, columns, BATCH_ROWS);
  for (const { series, row } of found) {
    const named = { ticker: series.ticker, [kind.part ?? "ticker"]: series.part ?? series.ticker };
    batch.add(columns.map((column, i): SeriesValue => named[column] ?? row[places[i]!] ?? null));
    if (batch.room > 0) continue;
    yield batch.end();
    await new Promise(setImmediate);
    signal?.throwIfAborted();
  }
  if (batch.rows > 0) yield batch.end();
}

function rowsOf(tables: MemoryTables, query: ColumnQuery) {
  const { from, to, order, after } = query;
  const { hasSeq } = kindOf(query.kind);
  const direction = order === "descending" ? -1 : 1;
  const compareSeries = (a: Pick<MemorySeries, "ticker" | "part">, b: typeof a): number =>
    compareTexts(a.ticker, b.ticker) || compareTexts(a.part ?? "", b.part ?? "");
  return [...tables.series.values()]
    .filter((series) => isAsked(series, query))
    .sort(compareSeries)
    .flatMap((series) => {
      const rows = tables.sorted(series, { from, to }).map(({ row }) => row);
      if (direction < 0) rows.reverse();
      return rows
        .filter((row) => {
          if (after == null) return true;
          const bySeries = compareSeries(series, after);
          const byStamp = compareTexts(row[0], after.stamp);
          const bySeq = hasSeq ? Number(row.at(-1)) - after.seq! : 0;
          return (bySeries || direction * (byStamp || bySeq)) > 0;
        })
        .map((row) => ({ series, row }));
    });
}

function isAsked({ kind, ticker, part }: MemorySeries, query: ColumnQuery): boolean {
  const has = (names: readonly string[] | null, name: string): boolean =>
    names === null || names.some((each) => each.toWellFormed() === name);
  return kind === query.kind && has(query.tickers, ticker) && (part === null || has(query.parts, part));
}

function positionsIn(tables: MemoryTables, tickers: readonly string[] | null): Map<string, number> {
  const named = tickers ?? [...tables.logs.keys()];
  const positions = named.map(
    (ticker) => [ticker, tables.logs.get(ticker)?.newest.position ?? 0] as [string, number],
  );
  return new Map(positions.filter(([, position]) => position > 0));
}
