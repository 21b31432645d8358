/** Reads of a database in memory. */

import type { MarketDay } from "../../src/market/market-day.ts";
import { toWire } from "../../src/market/timestamp.ts";
import { type JsonRecord, rawNumber } from "../../src/protocol/json.ts";
import type {
  JsonRows,
  NewestOfPartsQuery,
  NewestQuery,
  Note,
  PoolFigures,
  RowRange,
  StockReader,
  TransferReader,
} from "../../src/storage/contract.ts";
import { rowWithExtra } from "../../src/storage/extra-json.ts";
import type { ColumnBatch, ColumnQuery } from "../../src/storage/model/columns.ts";
import {
  answerColumns,
  hasExtra,
  KIND_NAMES,
  type KindName,
  kindOf,
  type SeriesRow,
  snapshotParts,
  withoutSeq,
} from "../../src/storage/model/kinds.ts";
import { compareTexts } from "../../src/storage/series-order.ts";
import type {
  StoredUpdate,
  TickerSnapshot,
  UpdateLimit,
  UpdateReader,
} from "../../src/storage/update-contract.ts";
import { readColumns } from "./memory-columns.ts";
import type { MemoryRow, MemoryTables } from "./memory-tables.ts";

const CHUNK_ROWS = 1_000;
const CONNECTIONS = 5;

export class MemoryReader implements StockReader {
  readonly updates: UpdateReader;
  readonly #tables: MemoryTables;
  #streams = 0;

  constructor(tables: MemoryTables) {
    this.#tables = tables;
    this.updates = new MemoryUpdates(tables);
  }

  rows(range: RowRange): JsonRows {
    const found = within(this.#tables, range).map((row) => toAnswer(row, range));
    if (found.length === 0) return { empty: true };
    if (found.length <= CHUNK_ROWS) return { empty: false, text: `{"data":[${rowsText(found, range)}]}` };
    this.#streams++;
    return { empty: false, chunks: new Chunks(found, range, () => this.#streams--) };
  }

  newest(query: NewestQuery): JsonRows {
    const found = within(this.#tables, query)
      .slice(-query.limit)
      .map((row) => toAnswer(row, query));
    if (found.length === 0) return { empty: true };
    return { empty: false, text: `{"data":[${rowsText(found, query)}]}` };
  }

  newestOfParts(query: NewestOfPartsQuery): JsonRows {
    const { kind, ticker, columns } = query;
    const { values } = kindOf(kind);
    const asked = query.parts === null ? null : new Set(query.parts);
    const found = partsOf(this.#tables, kind, ticker)
      .filter((part) => asked?.has(part) ?? true)
      .flatMap((part) => {
        const range = { kind, ticker, part, from: query.from, to: query.to };
        const rows = within(this.#tables, range);
        if (query.by === "written") rows.sort((a, b) => compareTexts(a.written, b.written));
        const row = rows.at(-1);
        return row === undefined ? [] : [{ row, range }];
      })
      .filter(({ row }) =>
        query.where.every(({ column, from, to }) => {
          const value = row.row[values.findIndex(({ name }) => name === column) + 1] ?? null;
          return value !== null && (from === null || value >= from) && (to === null || value <= to);
        }),
      );
    if (found.length === 0) return { empty: true };
    const rows = found.map(({ row, range }) => toAnswer(row, range, columns));
    return { empty: false, text: `{"data":${JSON.stringify(rows)}}` };
  }

  latestPrice(ticker: string): number | null {
    let newest = { moment: "", price: null as number | null };
    for (const [kind, part, column] of [
      ["ticks", "quote", 1],
      ["ticks", "trade", 1],
      ["hourly", null, 4],
      ["daily", null, 4],
    ] as const) {
      const priced = within(this.#tables, { kind, ticker, part, from: null, to: null });
      const last = priced.findLast(({ row }) => row[column] !== null && !(part === "quote" && isEmpty(row)));
      const stamp = last?.row[0] ?? "";
      const moment = kind === "hourly" ? `${stamp}.000000` : stamp;
      if (last !== undefined && moment > newest.moment)
        newest = { moment, price: last.row[column] as number };
    }
    return newest.price;
  }

  previousClose(ticker: string): number | null {
    return valueIn(this.#days(ticker).slice(-2)[0], 4);
  }

  openingPrice(ticker: string, { date }: MarketDay): number | null {
    return valueIn(
      this.#days(ticker).find(({ row }) => row[0] === date),
      1,
    );
  }

  dailyVolume(ticker: string, { date, from, to }: MarketDay): number | null {
    const volume = valueIn(
      this.#days(ticker).find(({ row }) => row[0] === date),
      5,
    );
    if (volume !== null) return volume;
    const trades = within(this.#tables, { kind: "ticks", ticker, part: "trade", from, to });
    const sizes = trades.filter(({ row }) => row[2] !== null);
    return sizes.length === 0 ? null : sizes.reduce((sum, { row }) => sum + Number(row[2]), 0);
  }

  tickers(kind: KindName, after: string | null, limit: number): string[] {
    return tickersOf(this.#tables, kind, after, limit);
  }

  parts(kind: KindName, ticker: string): string[] {
    return partsOf(this.#tables, kind, ticker);
  }

  columns(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    return readColumns(this.#tables, query);
  }

  notes(from: string, to: string, limit: number): Note[] {
    return [...this.#tables.notes]
      .filter(([name]) => compareTexts(name, from) >= 0 && compareTexts(name, to) <= 0)
      .sort(([a], [b]) => compareTexts(a, b))
      .slice(0, limit);
  }

  async sizeBytes(): Promise<null> {
    return null;
  }

  probe(): void {}

  pool(): PoolFigures {
    return {
      pool_enabled: true,
      pool_max_size: CONNECTIONS,
      available_connections: CONNECTIONS - this.#streams,
      active_connections: this.#streams,
      stale_connections: 0,
    };
  }

  close(): void {}

  #days(ticker: string): MemoryRow[] {
    return within(this.#tables, { kind: "daily", ticker, part: null, from: null, to: null });
  }
}

export class MemoryTransfer implements TransferReader {
  readonly #tables: MemoryTables;

  constructor(tables: MemoryTables) {
    this.#tables = tables;
  }

  tickers(kind: KindName, after: string | null, limit: number): string[] {
    return tickersOf(this.#tables, kind, after, limit);
  }

  parts(kind: KindName, ticker: string): string[] {
    return partsOf(this.#tables, kind, ticker);
  }

  async *rows(range: RowRange): AsyncGenerator<SeriesRow[]> {
    const found = within(this.#tables, range).map(({ row }): SeriesRow => [...row]);
    for (let at = 0; at < found.length; at += CHUNK_ROWS) yield found.slice(at, at + CHUNK_ROWS);
  }

  columns(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    return readColumns(this.#tables, query);
  }

  close(): void {}
}

class MemoryUpdates implements UpdateReader {
  readonly #tables: MemoryTables;

  constructor(tables: MemoryTables) {
    this.#tables = tables;
  }

  epoch(): string {
    return this.#tables.epoch;
  }

  positions(tickers: readonly string[] | null): Map<string, number> {
    const named = tickers ?? [...this.#tables.logs.keys()];
    return new Map(
      named
        .map((ticker): [string, number] => [ticker, this.newest(ticker).position])
        .filter(([, position]) => position > 0),
    );
  }

  newest(ticker: string) {
    return this.#tables.logs.get(ticker)?.newest ?? { position: 0, savedAtMs: 0 };
  }

  after(ticker: string, after: number, { updates, characters }: UpdateLimit): StoredUpdate[] {
    const found: StoredUpdate[] = [];
    let size = 0;
    for (const update of this.#tables.logs.get(ticker)?.updates ?? []) {
      if (update.position <= after) continue;
      size += update.frame.length;
      if (found.length > 0 && (found.length === updates || size > characters)) break;
      found.push(update);
    }
    return found;
  }

  keptSinceMs(): number | null {
    const oldest = [...this.#tables.logs.values()].flatMap(({ updates }) => updates.slice(0, 1));
    return oldest.length === 0 ? null : Math.min(...oldest.map(({ savedAtMs }) => savedAtMs));
  }

  logBytes(): number {
    const updates = [...this.#tables.logs.values()].flatMap((log) => log.updates);
    return updates.reduce((sum, { frame }) => sum + frame.length, 0);
  }

  snapshot(ticker: string): TickerSnapshot {
    const newest = KIND_NAMES.flatMap((kind) =>
      snapshotParts(kind, () => partsOf(this.#tables, kind, ticker)).flatMap((part) => {
        const last = within(this.#tables, { kind, ticker, part, from: null, to: null }).at(-1);
        return last === undefined ? [] : [{ kind, part, row: withoutSeq(kind, [...last.row]) as SeriesRow }];
      }),
    );
    return { position: this.newest(ticker).position, newest };
  }
}

function within(tables: MemoryTables, { kind, ticker, part, from, to }: RowRange): MemoryRow[] {
  const series = tables.find(kind, ticker, part);
  if (series === undefined) return [];
  return tables.sorted(series, { from, to });
}

function tickersOf(tables: MemoryTables, kind: KindName, after: string | null, limit: number): string[] {
  const all = new Set(
    [...tables.series.values()].filter((series) => series.kind === kind).map((s) => s.ticker),
  );
  const sorted = [...all].sort(compareTexts);
  return sorted.filter((ticker) => after === null || compareTexts(ticker, after) > 0).slice(0, limit);
}

function partsOf(tables: MemoryTables, kind: KindName, ticker: string): string[] {
  return [...tables.series.values()]
    .filter((series) => series.kind === kind && series.ticker === ticker.toWellFormed())
    .filter(({ part }) => part !== null)
    .map(({ part }) => part!)
    .sort(compareTexts);
}

/** A quote that offers nothing. */
function isEmpty([, price, size]: SeriesRow): boolean {
  return Number(price) <= 0 && size !== null && Number(size) === 0;
}

function valueIn(row: MemoryRow | undefined, column: number): number | null {
  const value = row?.row[column] ?? null;
  return value === null ? null : Number(value);
}

/** A row as answers show it. */
function toAnswer(
  { row, computed, written }: MemoryRow,
  { kind: name, ticker, part, ...form }: RowRange,
  only: readonly string[] | null = null,
): JsonRecord {
  const kind = kindOf(name);
  const cells: Record<string, unknown> = {
    [kind.stamp.name]: toWire(row[0]),
    ticker: ticker.toWellFormed(),
    [kind.part ?? ""]: part?.toWellFormed(),
    write_timestamp: kind.writtenForm === "wire" ? toWire(written) : `${written}+00:00`,
    seq: row.at(-1),
  };
  for (const [index, { name, type }] of kind.values.entries()) {
    const value = row[index + 1] ?? null;
    const isStamp = type === "date" || type === "second" || type === "instant";
    cells[name] =
      type === "count" ? countToWire(value) : isStamp && value !== null ? toWire(String(value)) : value;
  }
  for (const [index, name] of kind.computed.entries()) cells[name] = computed[index];
  const columns = answerColumns(kind, form).filter(({ name }) => only === null || only.includes(name));
  return Object.fromEntries(columns.map(({ name, column }) => [name, cells[column]]));
}

function countToWire(count: string | number | null): unknown {
  if (typeof count === "string") return rawNumber(count);
  const isLong = count !== null && Number.isInteger(count) && !Number.isSafeInteger(count);
  return isLong && Math.abs(count) < 2 ** 63 ? rawNumber(String(BigInt(count))) : count;
}

/** Rows of an answer, joined by commas. */
function rowsText(rows: JsonRecord[], { kind, withExtra }: RowRange): string {
  return withExtra === true && hasExtra(kindOf(kind))
    ? rows.map(rowWithExtra).join(",")
    : JSON.stringify(rows).slice(1, -1);
}

/** An answer piece by piece. */
class Chunks implements AsyncIterableIterator<string> {
  readonly #rows: JsonRecord[];
  readonly #range: RowRange;
  readonly #release: () => void;
  #at = 0;
  #isOver = false;

  constructor(rows: JsonRecord[], range: RowRange, release: () => void) {
    this.#rows = rows;
    this.#range = range;
    this.#release = release;
  }

  async next(): Promise<IteratorResult<string>> {
    if (this.#isOver) return { done: true, value: undefined };
    const rows = rowsText(this.#rows.slice(this.#at, this.#at + CHUNK_ROWS), this.#range);
    const start = this.#at === 0 ? '{"data":[' : ",";
    this.#at += CHUNK_ROWS;
    const isLast = this.#at >= this.#rows.length;
    if (isLast) this.#end();
    return { done: false, value: `${start}${rows}${isLast ? "]}" : ""}` };
  }

  async return(): Promise<IteratorResult<string>> {
    if (!this.#isOver) this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    this.#isOver = true;
    this.#release();
  }
}
