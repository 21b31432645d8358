import type { MarketDay } from "../../market/market-day.ts";
import { unavailable } from "../../protocol/errors.ts";
import { within } from "../../time/within.ts";
import type {
  JsonRows,
  NewestOfPartsQuery,
  NewestQuery,
  Note,
  PoolFigures,
  RangeRead,
  RowRange,
  StockReader,
} from "../contract.ts";
import { rowWithExtra } from "../extra-json.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import {
  type AnswerForm,
  answerColumns,
  answerColumnsOf,
  byKind,
  hasExtra,
  type KindName,
  kindOf,
  NOTES_TABLE,
  type RowKind,
  seriesColumns,
} from "../model/kinds.ts";
import { RowPieces } from "../row-pieces.ts";
import { answerSql, rowToWire } from "./answer-columns.ts";
import { ColumnReader } from "./columns.ts";
import type { RunOptions } from "./connection.ts";
import { storedParts, storedTickers } from "./distinct-values.ts";
import { isUnknownToDatabase } from "./errors.ts";
import { newestOfPartsSql } from "./newest-of-parts.ts";
import type { PostgresPool } from "./pool.ts";
import { holdsNul, readWithRetry, runAndRelease, runRead } from "./read.ts";
import type { Replicas } from "./replicas.ts";
import { RowStream, type Row as WireRow } from "./row-stream.ts";
import { asInstant, columnSql, isSeries, microseconds, SQL_TYPES, stampParam } from "./sql-text.ts";
import { PostgresUpdates } from "./updates.ts";

/** An answer of more rows streams through a cursor, in chunks of so many. */
const CHUNK_ROWS = 1_000;
/** A caller waits no longer for a probe. The probe itself goes on, and later callers join it. */
const PROBE_WAIT_MS = 2_000;
const PROBE_TIMEOUT_MS = 3_000;

/** CockroachDB doesn't know it. */
export const SIZE_SQL = "SELECT pg_database_size(current_database())::text AS bytes";
const TO_WIRE = byKind((kind) => rowToWire(kind, answerColumns(kind, { withSeq: true, withExtra: true })));

function rangeSql(kind: RowKind, direction: RangeRead, form: AnswerForm): string {
  const at = `p.${columnSql(kind.stamp.name)}`;
  const type = SQL_TYPES[kind.stamp.type];
  const params = seriesColumns(kind).length;
  const order = [at, ...(kind.hasSeq ? ["p.seq"] : [])].map(
    (column) => `${column}${direction === "newest" ? " DESC" : ""}`,
  );
  const limit = direction === "newest" ? ` LIMIT $${params + 3}` : "";
  return `SELECT ${answerColumns(kind, form).map(answerSql).join(", ")} FROM ${kind.table} p
    WHERE ${isSeries(kind, "p")} AND ${at} >= $${params + 1}::${type} AND ${at} <= $${params + 2}::${type}
    ORDER BY ${order.join(", ")}${limit}`;
}

const TRADED_SQL = `SELECT sum(size) AS volume FROM realtime_data WHERE ticker = $1 AND type = 'trade'
  AND "timestamp" >= $2::timestamptz AND "timestamp" <= $3::timestamptz`;
/** The name differs from the column's, which the index is ordered by. */
const momentOf = (column: string): string => `${microseconds(column)} AS moment`;
/** The newest counts, of equal moments the first. A date is before all moments of that day. */
const LAST_PRICES_SQL = [
  ...["type = 'quote' AND (price > 0 OR size IS DISTINCT FROM 0)", "type = 'trade'"].map(
    (ofType) => `SELECT price, ${momentOf('"timestamp"')} FROM realtime_data
      WHERE ticker = $1 AND ${ofType} AND price IS NOT NULL ORDER BY "timestamp" DESC, seq DESC LIMIT 1`,
  ),
  `SELECT close, ${momentOf("datetime")} FROM hourly_prices
    WHERE ticker = $1 AND close IS NOT NULL ORDER BY datetime DESC LIMIT 1`,
  `SELECT close, date::text AS moment FROM daily_prices
    WHERE ticker = $1 AND close IS NOT NULL ORDER BY date DESC LIMIT 1`,
]
  .map((select, rank) => `SELECT ${rank} AS rank, f${rank}.* FROM (${select}) f${rank}`)
  .join(" UNION ALL ");

interface AnswerRead {
  /** In order, without a limit. */
  sql: string;
  params: unknown[];
  /** May change the rows in place. */
  encode(rows: WireRow[]): string;
  signal: AbortSignal | undefined;
}

export class PostgresReader implements StockReader {
  readonly updates: PostgresUpdates;
  readonly #pool: PostgresPool;
  readonly #rangeTexts = new Map<string, string>();
  #probing: Promise<void> | null = null;

  readonly #columns: ColumnReader;
  readonly #replicas: Replicas | null;

  /** @param replicas for rows and columns. */
  constructor(pool: PostgresPool, replicas: Replicas | null = null) {
    this.#pool = pool;
    this.#replicas = replicas;
    this.updates = new PostgresUpdates(pool);
    this.#columns = new ColumnReader(pool, this.updates, replicas);
  }

  async rows(range: RowRange, signal?: AbortSignal): Promise<JsonRows> {
    const sql = this.#rangeSql("rows", range);
    const read = { sql, params: paramsOf(range), encode: encoderOf(range), signal };
    // Corporate actions are few, and compared with positions.
    const found = range.kind === "actions" ? null : await this.#answerByReplica(read);
    return found ?? this.#answer(read);
  }

  newestOfParts(query: NewestOfPartsQuery, signal?: AbortSignal): Promise<JsonRows> {
    const kind = kindOf(query.kind);
    const toWireRow = rowToWire(kind, answerColumnsOf(kind, query.columns));
    const encode = (rows: WireRow[]): string => {
      for (const row of rows) toWireRow(row);
      return JSON.stringify(rows);
    };
    return this.#answer({ ...newestOfPartsSql(query), encode, signal });
  }

  async newest(query: NewestQuery): Promise<JsonRows> {
    const params = [...paramsOf(query), query.limit];
    const rows = [...(await this.#run<WireRow>(this.#rangeSql("newest", query), params))].reverse();
    if (rows.length === 0) return { empty: true };
    return { empty: false, text: `{"data":${encoderOf(query)(rows)}}` };
  }

  /** The texts are few, and each is made once. */
  #rangeSql(direction: RangeRead, { kind, withSeq, withExtra }: RowRange): string {
    const form = { withSeq: withSeq === true, withExtra: withExtra === true };
    const key = `${direction} ${kind} ${form.withSeq} ${form.withExtra}`;
    let sql = this.#rangeTexts.get(key);
    if (sql === undefined) {
      sql = rangeSql(kindOf(kind), direction, form);
      this.#rangeTexts.set(key, sql);
    }
    return sql;
  }

  async latestPrice(ticker: string): Promise<number | null> {
    const rows = await this.#run<{ rank: number; price: number; moment: string }>(LAST_PRICES_SQL, [ticker]);
    let price: number | null = null;
    let newest = "";
    for (const row of [...rows].sort((a, b) => a.rank - b.rank)) {
      if (!Number.isFinite(row.price) || row.moment <= newest) continue;
      newest = row.moment;
      price = row.price;
    }
    return price;
  }

  async previousClose(ticker: string): Promise<number | null> {
    const sql = "SELECT close FROM daily_prices WHERE ticker = $1 ORDER BY date DESC LIMIT 2";
    return finite((await this.#run<WireRow>(sql, [ticker])).at(-1)?.close);
  }

  async openingPrice(ticker: string, { date }: MarketDay): Promise<number | null> {
    const sql = "SELECT open FROM daily_prices WHERE ticker = $1 AND date = $2::date";
    return finite((await this.#run<WireRow>(sql, [ticker, date]))[0]?.open);
  }

  async dailyVolume(ticker: string, { date, from, to }: MarketDay): Promise<number | null> {
    const sql = "SELECT volume FROM daily_prices WHERE ticker = $1 AND date = $2::date";
    const volume = (await this.#run<WireRow>(sql, [ticker, date]))[0]?.volume ?? null;
    if (volume !== null) return finite(Number(volume));
    const params = [ticker, asInstant(from), asInstant(to)];
    const traded = (await this.#run<WireRow>(TRADED_SQL, params))[0]?.volume ?? null;
    return traded === null ? null : finite(Number(traded));
  }

  tickers(kind: KindName, after: string | null, limit: number): Promise<string[]> {
    return storedTickers((sql, params) => this.#run(sql, params), kind, after, limit);
  }

  async notes(from: string, to: string, limit: number): Promise<Note[]> {
    const rows = await this.#run<{ name: string; value: string }>(
      `SELECT name::text, value::text FROM ${NOTES_TABLE} WHERE name >= $1 AND name <= $2 ORDER BY name LIMIT $3::int`,
      [from, to, limit],
    );
    return rows.map(({ name, value }): Note => [name, value]);
  }

  parts(kind: KindName, ticker: string): Promise<string[]> {
    return storedParts((sql, params) => this.#run(sql, params), kind, ticker);
  }

  columns(query: ColumnQuery): AsyncIterable<ColumnBatch> {
    return this.#columns.read(query);
  }

  sizeBytes(): Promise<number | null> {
    return databaseSize(this.#run(SIZE_SQL, []));
  }

  /** @throws RequestError 503, within PROBE_WAIT_MS. */
  async probe(): Promise<void> {
    await within(this.#probed(), PROBE_WAIT_MS, () => {
      const reason = `no answer for ${PROBE_WAIT_MS / 1_000} s`;
      this.#pool.noteSilence(reason);
      throw unavailable(`the database gives ${reason}`);
    });
  }

  /**
   * Answers without waiting. If the database was away or silent, a probe starts behind the answer.
   */
  pool(): PoolFigures {
    const figures = this.#pool.figures();
    void this.#pool.lookForDatabase();
    if (figures.connected === false) this.#probed().catch(() => undefined);
    return figures;
  }

  /** One probe serves all callers. */
  #probed(): Promise<void> {
    const ask = async (): Promise<void> => {
      try {
        await this.#run("SELECT 1 AS one FROM daily_prices LIMIT 1", [], { timeoutMs: PROBE_TIMEOUT_MS });
        this.#pool.noteSilence(null);
      } finally {
        this.#probing = null;
      }
    };
    this.#probing ??= ask();
    return this.#probing;
  }

  close(): void {}

  async #answer({ sql, params, encode, signal }: AnswerRead): Promise<JsonRows> {
    const rows = await this.#run<WireRow>(firstOf(sql), params, { signal });
    const small = smallAnswer(rows, encode);
    if (small !== null) return small;
    const stream = await readWithRetry(this.#pool, { use: "stream", signal }, (lease) =>
      RowStream.open(lease, { sql, params, chunkRows: CHUNK_ROWS, encode }),
    );
    return { empty: false, chunks: new RowPieces(stream) };
  }

  /** @returns null: the primary has to be asked. */
  async #answerByReplica({ sql, params, encode, signal }: AnswerRead): Promise<JsonRows | null> {
    if (this.#replicas === null || holdsNul(params)) return null;
    const rows = await this.#replicas.read("shared", signal, (lease) =>
      runAndRelease<WireRow>(lease, firstOf(sql), params, { signal }),
    );
    if (rows === null) return null;
    const small = smallAnswer(rows, encode);
    if (small !== null) return small;
    const stream = await this.#replicas.read("stream", signal, (lease) =>
      RowStream.open(lease, { sql, params, chunkRows: CHUNK_ROWS, encode }),
    );
    return stream === null ? null : { empty: false, chunks: new RowPieces(stream) };
  }

  #run<T>(sql: string, params: unknown[], options: RunOptions = {}): Promise<T[]> {
    return runRead<T>(this.#pool, sql, params, options);
  }
}

function firstOf(sql: string): string {
  return `${sql} LIMIT ${CHUNK_ROWS + 1}`;
}

/** @returns null: there are more rows than one text should have. */
function smallAnswer(rows: WireRow[], encode: AnswerRead["encode"]): JsonRows | null {
  if (rows.length === 0) return { empty: true };
  if (rows.length > CHUNK_ROWS) return null;
  return { empty: false, text: `{"data":${encode(rows)}}`, rows: rows.length };
}

/** Changes the rows. */
function encoderOf({ kind, withExtra }: RowRange): (rows: WireRow[]) => string {
  return (rows) => {
    for (const row of rows) TO_WIRE[kind](row);
    return withExtra === true && hasExtra(kindOf(kind))
      ? `[${rows.map(rowWithExtra).join(",")}]`
      : JSON.stringify(rows);
  };
}

/** @returns null if the database doesn't know SIZE_SQL. */
export async function databaseSize(asked: Promise<{ bytes: string }[]>): Promise<number | null> {
  try {
    return Number((await asked)[0]?.bytes);
  } catch (error) {
    if (!isUnknownToDatabase(error)) throw error;
    return null;
  }
}

function finite(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function paramsOf({ kind: name, ticker, part, from, to }: RowRange): unknown[] {
  const kind = kindOf(name);
  const bounds = [stampParam(kind, from, "first"), stampParam(kind, to, "last")];
  return part === null ? [ticker, ...bounds] : [ticker, part, ...bounds];
}
