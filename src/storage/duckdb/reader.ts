/**
 * The reads of every worker, in the process that has the file open. DuckDB finds and sorts rows on
 * its own threads; this process makes their JSON, a millisecond of work at a time. Answers of more
 * than `SMALL_ROWS_MAX` rows come in pages, from one snapshot.
 */
import type { DuckDBValue } from "@duckdb/node-api";
import type { MarketDay } from "../../market/market-day.ts";
import type {
  JsonRows,
  NewestOfPartsQuery,
  NewestQuery,
  Note,
  PoolFigures,
  RowRange,
  StockReader,
} from "../contract.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf, NOTES_TABLE } from "../model/kinds.ts";
import { type PiecesSource, RowPieces } from "../row-pieces.ts";
import type { UpdateReader } from "../update-contract.ts";
import { readColumns } from "./columns.ts";
import { seriesSql, storedParts, storedTickers } from "./distinct-values.ts";
import type { DuckDbFile } from "./duckdb-file.ts";
import { columnsSql, partsSource, type RowSource, rowSource } from "./json-rows.ts";
import { storable } from "./lines.ts";
import { newestOfPartsSql } from "./newest-of-parts.ts";
import { ReadSessions } from "./read-sessions.ts";
import { type Page, pageSql, pieceOf, RowStream, readPage } from "./row-stream.ts";
import { TABLES } from "./schema.ts";
import type { Param } from "./session.ts";
import type { UpdateLog } from "./update-log.ts";
import { DuckDbUpdates } from "./updates.ts";

const SMALL_ROWS_MAX = 1_000;
/** The oldest and newest stamps that a client can ask for. */
const FIRST_DATE = "0001-01-01";
const LAST_DATE = "9999-12-31";
const FIRST = `${FIRST_DATE} 00:00:00`;
const LAST = `${LAST_DATE} 23:59:59.999999`;

/** The newest of all wins, a date being its midnight; at one moment the first in this order. */
const LATEST_PRICE_SQL = `SELECT price FROM (${[
  [
    "price",
    "timestamp",
    "realtime_data",
    "AND type = 'quote' AND (price > 0 OR size IS DISTINCT FROM 0)",
    ", seq DESC",
  ],
  ["price", "timestamp", "realtime_data", "AND type = 'trade'", ", seq DESC"],
  ["close", "datetime", "hourly_prices", "", ""],
  ["close", "date", "daily_prices", "", ""],
]
  .map(
    (
      [price, stamp, table, where, order],
      rank,
    ) => `(SELECT ${price} AS price, ${stamp}::TIMESTAMP AS moment, ${rank} AS kind
      FROM ${table} WHERE ticker = $1 ${where} AND isfinite(${price}) ORDER BY ${stamp} DESC${order} LIMIT 1)`,
  )
  .join(" UNION ALL ")}) ORDER BY moment DESC, kind LIMIT 1`;

/** Fails if a table lacks a column that saves need. */
const PROBE_SQL = [
  ...TABLES.map(({ name, columns }) => `SELECT ${columns.map(([column]) => column).join(", ")} FROM ${name}`),
  "SELECT ticker, date, closes, emas, recent, closes_hash FROM daily_checkpoints",
  "SELECT id, ticker, seq, type, saved_at, save_id, size, frame FROM update_log",
  "SELECT ticker, seq, saved_at FROM update_positions",
  "SELECT epoch FROM update_epoch",
]
  .map((select) => `(SELECT count(*) FROM (${select} LIMIT 1))`)
  .join(" UNION ALL ");

export class DuckDbReader implements StockReader {
  readonly updates: UpdateReader;
  readonly #sessions: ReadSessions;

  constructor(file: DuckDbFile, log: UpdateLog) {
    this.#sessions = new ReadSessions(file);
    this.updates = new DuckDbUpdates(file, log, this.#sessions);
  }

  async rows(range: RowRange): Promise<JsonRows> {
    const source = rowSource(range);
    const params = paramsOf(range);
    const filter = filterOf(source);
    const first = await this.#sessions.call((session) =>
      readPage(session, source, {
        sql: pageSql(source, { filter, paramCount: params.length, continued: false }),
        params: [...params, SMALL_ROWS_MAX + 1],
      }),
    );
    if (first.rows === 0) return { empty: true };
    if (first.rows <= SMALL_ROWS_MAX) return wholeAnswer(first);
    return this.#stream(source, filter, params);
  }

  async newest(query: NewestQuery): Promise<JsonRows> {
    const source = rowSource(query);
    const { kind } = source;
    const params = [...paramsOf(query), query.limit];
    const order = [kind.stamp.name, ...(kind.hasSeq ? ["seq"] : [])];
    const newest = `SELECT * FROM ${kind.table} WHERE ${filterOf(source)}
      ORDER BY ${order.map((column) => `${column} DESC`).join(", ")} LIMIT $${params.length}`;
    const sql = `SELECT ${columnsSql(source)} FROM (${newest}) ORDER BY ${order.join(", ")}`;
    const page = await this.#sessions.call((session) => readPage(session, source, { sql, params }));
    return page.rows === 0 ? { empty: true } : wholeAnswer(page);
  }

  async newestOfParts(query: NewestOfPartsQuery): Promise<JsonRows> {
    const { kind, ticker, columns, from, to } = query;
    const source = partsSource(kind, ticker, columns);
    const bounds = paramsOf({ kind, ticker, part: null, from, to });
    const page = await this.#sessions.call((session) =>
      readPage(session, source, newestOfPartsSql(query, source, bounds)),
    );
    if (page.rows === 0) return { empty: true };
    return page.rows <= SMALL_ROWS_MAX
      ? wholeAnswer(page)
      : { empty: false, chunks: new RowPieces(piecesOf(page)) };
  }

  async latestPrice(ticker: string): Promise<number | null> {
    return this.#number(LATEST_PRICE_SQL, [ticker]);
  }

  async previousClose(ticker: string): Promise<number | null> {
    const rows = await this.#rows(
      "SELECT close FROM daily_prices WHERE ticker = $1 ORDER BY date DESC LIMIT 2",
      [ticker],
    );
    return (rows.at(-1)?.[0] ?? null) as number | null;
  }

  async openingPrice(ticker: string, { date }: MarketDay): Promise<number | null> {
    return this.#number("SELECT open FROM daily_prices WHERE ticker = $1 AND date = $2::DATE", [
      ticker,
      date,
    ]);
  }

  async dailyVolume(ticker: string, { date, from, to }: MarketDay): Promise<number | null> {
    const ofBar = await this.#number(DAILY_VOLUME_SQL, [ticker, date]);
    return ofBar ?? (await this.#number(TRADED_SQL, [ticker, from, to]));
  }

  tickers(kind: KindName, after: string | null, limit: number): Promise<string[]> {
    return storedTickers((sql, params) => this.#rows(sql, params), kind, after, limit);
  }

  async notes(from: string, to: string, limit: number): Promise<Note[]> {
    const sql = `SELECT name, value FROM ${NOTES_TABLE}
      WHERE name >= $1 AND name <= $2 ORDER BY name LIMIT $3`;
    return (await this.#rows(sql, [storable(from), storable(to), limit])) as Note[];
  }

  parts(kind: KindName, ticker: string): Promise<string[]> {
    return storedParts((sql, params) => this.#rows(sql, params), kind, ticker);
  }

  columns(query: ColumnQuery): AsyncIterable<ColumnBatch> {
    return readColumns(() => this.#sessions.snapshot(query.signal), query);
  }

  async sizeBytes(): Promise<number> {
    const [row] = await this.#rows("SELECT block_size * total_blocks FROM pragma_database_size()", []);
    return Number(row?.[0]);
  }

  async probe(): Promise<void> {
    await this.#rows(PROBE_SQL, []);
  }

  pool(): PoolFigures {
    return this.#sessions.figures();
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }

  async #stream(source: RowSource, filter: string, params: Param[]): Promise<JsonRows> {
    const snapshot = await this.#sessions.snapshot();
    const stream = new RowStream({
      source,
      filter,
      params,
      read: (page) => snapshot.call((session) => readPage(session, source, page)),
      release: () => snapshot.release(),
    });
    try {
      await stream.begin(); // finds errors while a status can still be sent
    } catch (error) {
      snapshot.release();
      throw error;
    }
    return { empty: false, chunks: new RowPieces(stream) };
  }

  async #number(sql: string, params: Param[]): Promise<number | null> {
    const rows = await this.#rows(sql, params);
    return (rows[0]?.[0] ?? null) as number | null;
  }

  #rows(sql: string, params: Param[]): Promise<DuckDBValue[][]> {
    return this.#sessions.call((session) => session.rows(sql, params));
  }
}

/** A page that is the whole answer: it needs no connection any more. */
function piecesOf(page: Page): PiecesSource {
  return {
    async next() {
      return { ...pieceOf(page), isLast: page.left === 0 };
    },
    end() {},
  };
}

function wholeAnswer(page: Page): JsonRows {
  return { empty: false, text: `{"data":[${page.all()}]}`, rows: page.rows };
}

const DAILY_VOLUME_SQL =
  "SELECT volume::VARCHAR::DOUBLE FROM daily_prices WHERE ticker = $1 AND date = $2::DATE";
const TRADED_SQL = `SELECT sum(size::VARCHAR::DOUBLE) FROM realtime_data WHERE ticker = $1 AND type = 'trade'
  AND timestamp >= $2::TIMESTAMP AND timestamp <= $3::TIMESTAMP`;

function filterOf({ kind, stampType }: RowSource): string {
  const series = seriesSql(kind);
  const stamp = kind.stamp.name;
  const [from, to] = [series.length + 1, series.length + 2];
  const bounds = `${stamp} >= $${from}::${stampType} AND ${stamp} <= $${to}::${stampType}`;
  return [...series.map((column, index) => `${column} = $${index + 1}`), bounds].join(" AND ");
}

function paramsOf({ kind, ticker, part, from, to }: RowRange): Param[] {
  const [first, last] = kindOf(kind).stamp.type === "date" ? [FIRST_DATE, LAST_DATE] : [FIRST, LAST];
  return [ticker, ...(part === null ? [] : [part]), from ?? first, to ?? last];
}
