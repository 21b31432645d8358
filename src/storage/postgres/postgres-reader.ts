/**
 * A worker's reads. A small answer is one statement; one of more than `CHUNK_ROWS` rows is streamed
 * through a cursor.
 */
import { AVERAGE_COLUMNS } from "../../market/moving-averages.ts";
import { toWire } from "../../market/timestamp.ts";
import { unavailable } from "../../protocol/errors.ts";
import { rawNumber } from "../../protocol/json.ts";
import type {
  BarInterval,
  BarRange,
  Holding,
  JsonRows,
  NewestBarsQuery,
  NewestTicksQuery,
  PoolFigures,
  RowKind,
  StockReader,
  TickRange,
} from "../contract.ts";
import { readHoldings } from "../holdings.ts";
import type { RunOptions } from "./connection.ts";
import { storedTickers, storedTickTypes } from "./distinct-values.ts";
import type { PostgresPool } from "./pool.ts";
import { isUnknownToDatabase } from "./postgres-errors.ts";
import { PostgresUpdates } from "./postgres-updates.ts";
import { readWithRetry, runRead } from "./read.ts";
import { type Row, RowStream } from "./row-stream.ts";
import { asInstant, dayStart, FIRST_DAY, LAST_DAY, utcText } from "./sql-text.ts";

/** Rows of an answer that comes at once, and of one chunk of a larger one. */
const CHUNK_ROWS = 1_000;
/**
 * Longest wait of whoever asks whether the database answers; the question itself waits longer, and
 * the next asker with it.
 */
const PROBE_WAIT_MS = 2_000;
const PROBE_TIMEOUT_MS = 3_000;
/** Whole numbers that a double may not hold, and 64 bits may. */
const LONG_WHOLE = /^-?\d{16,19}$/;

/** CockroachDB doesn't know it. */
export const SIZE_SQL = "SELECT pg_database_size(current_database())::text AS bytes";
const BAR_COLUMNS = "p.ticker, p.open, p.high, p.low, p.close, p.volume";
const WRITTEN = `${utcText("p.write_timestamp")} AS write_timestamp`;
const AVERAGES = AVERAGE_COLUMNS.map((name) => `p.${name}`).join(", ");
const BARS_SQL: Record<BarInterval, string> = {
  daily: `SELECT p.date::text AS date, ${BAR_COLUMNS}, ${AVERAGES}, ${WRITTEN} FROM daily_prices p
    WHERE p.ticker = $1 AND p.date >= $2::date AND p.date <= $3::date ORDER BY p.date`,
  hourly: `SELECT ${utcText("p.datetime")} AS datetime, ${BAR_COLUMNS}, ${WRITTEN} FROM hourly_prices p
    WHERE p.ticker = $1 AND p.datetime >= $2::timestamptz AND p.datetime <= $3::timestamptz ORDER BY p.datetime`,
};
const TICK_COLUMNS = `${utcText('p."timestamp"')} AS "timestamp", p.ticker, p.type, p.price, p.size, p.ask_price, p.ask_size, ${WRITTEN}`;
const TICKS_SQL = `SELECT ${TICK_COLUMNS} FROM realtime_data p WHERE p.ticker = $1 AND p.type = $2
  AND p."timestamp" >= $3::timestamptz AND p."timestamp" <= $4::timestamptz ORDER BY p."timestamp", p.seq`;
const TICKS_WITH_SEQ_SQL = TICKS_SQL.replace(WRITTEN, `${WRITTEN}, p.seq`);
const NEWEST_TICKS_SQL = TICKS_SQL.replace(/, p\.seq$/, " DESC, p.seq DESC LIMIT $5");
const NEWEST_BARS_SQL: Record<BarInterval, string> = {
  daily: `${BARS_SQL.daily} DESC LIMIT $4`,
  hourly: `${BARS_SQL.hourly} DESC LIMIT $4`,
};
const TRADED_SQL = `SELECT sum(size) AS volume FROM realtime_data WHERE ticker = $1 AND type = 'trade'
  AND "timestamp" >= $2::timestamptz AND "timestamp" <= $3::timestamptz`;
/** Of the day under another name than the column's, by which the index is ordered. */
const stampDay = (column: string): string => `(${column} AT TIME ZONE 'UTC')::date::text AS day`;
/** Newest first on one date: quote, trade, hourly, daily. */
const LAST_PRICES_SQL = [
  ...["quote", "trade"].map(
    (type) => `SELECT price, ${stampDay('"timestamp"')} FROM realtime_data
      WHERE ticker = $1 AND type = '${type}' AND price IS NOT NULL ORDER BY "timestamp" DESC, seq DESC LIMIT 1`,
  ),
  `SELECT close, ${stampDay("datetime")} FROM hourly_prices
    WHERE ticker = $1 AND close IS NOT NULL ORDER BY datetime DESC LIMIT 1`,
  `SELECT close, date::text AS day FROM daily_prices
    WHERE ticker = $1 AND close IS NOT NULL ORDER BY date DESC LIMIT 1`,
]
  .map((select, rank) => `SELECT ${rank} AS rank, f${rank}.* FROM (${select}) f${rank}`)
  .join(" UNION ALL ");

export class PostgresReader implements StockReader {
  readonly updates: PostgresUpdates;
  readonly #pool: PostgresPool;
  #probing: Promise<void> | null = null;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
    this.updates = new PostgresUpdates(pool);
  }

  bars(range: BarRange, signal?: AbortSignal): Promise<JsonRows> {
    return this.#read(BARS_SQL[range.interval], barParams(range), signal, barToWire(range.interval));
  }

  ticks(range: TickRange, signal?: AbortSignal): Promise<JsonRows> {
    return this.#read(range.withSeq ? TICKS_WITH_SEQ_SQL : TICKS_SQL, tickParams(range), signal, tickToWire);
  }

  newestTicks(query: NewestTicksQuery): Promise<JsonRows> {
    return this.#newest(NEWEST_TICKS_SQL, [...tickParams(query), query.limit], tickToWire);
  }

  newestBars(query: NewestBarsQuery): Promise<JsonRows> {
    const { interval, limit } = query;
    return this.#newest(NEWEST_BARS_SQL[interval], [...barParams(query), limit], barToWire(interval));
  }

  async latestPrice(ticker: string): Promise<number | null> {
    const rows = await this.#run<{ rank: number; price: number; day: string }>(LAST_PRICES_SQL, [ticker]);
    let price: number | null = null;
    let date = "";
    for (const row of [...rows].sort((a, b) => a.rank - b.rank)) {
      if (!Number.isFinite(row.price) || row.day <= date) continue;
      date = row.day;
      price = row.price;
    }
    return price;
  }

  async previousClose(ticker: string): Promise<number | null> {
    const sql = "SELECT close FROM daily_prices WHERE ticker = $1 ORDER BY date DESC LIMIT 2";
    return finite((await this.#run<Row>(sql, [ticker])).at(-1)?.close);
  }

  async openingPrice(ticker: string, date: string): Promise<number | null> {
    const sql = "SELECT open FROM daily_prices WHERE ticker = $1 AND date = $2::date";
    return finite((await this.#run<Row>(sql, [ticker, date]))[0]?.open);
  }

  async dailyVolume(ticker: string, date: string): Promise<number | null> {
    const sql = "SELECT volume FROM daily_prices WHERE ticker = $1 AND date = $2::date";
    const volume = (await this.#run<Row>(sql, [ticker, date]))[0]?.volume ?? null;
    if (volume !== null) return finite(Number(volume));
    const params = [ticker, dayStart(date), asInstant(`${date} 23:59:59.999999`)];
    const traded = (await this.#run<Row>(TRADED_SQL, params))[0]?.volume ?? null;
    return traded === null ? null : finite(Number(traded));
  }

  tickers(kind: RowKind, after: string | null, limit: number): Promise<string[]> {
    return storedTickers((sql, params) => this.#run(sql, params), kind, after, limit);
  }

  tickTypes(ticker: string): Promise<string[]> {
    return storedTickTypes((sql, params) => this.#run(sql, params), ticker);
  }

  holdings(tickersMax: number): Promise<Holding[]> {
    return readHoldings((rows) => this.tickers(rows, null, tickersMax + 1));
  }

  async sizeBytes(): Promise<number | null> {
    try {
      const [row] = await this.#run<{ bytes: string }>(SIZE_SQL, []);
      return Number(row?.bytes);
    } catch (error) {
      if (!isUnknownToDatabase(error)) throw error;
      return null;
    }
  }

  /** @throws RequestError 503, within PROBE_WAIT_MS. */
  async probe(): Promise<void> {
    const { promise: silence, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const reason = `no answer for ${PROBE_WAIT_MS / 1_000} s`;
      this.#pool.noteSilence(reason);
      reject(unavailable(`the database gives ${reason}`));
    }, PROBE_WAIT_MS);
    try {
      await Promise.race([this.#probed(), silence]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Asks nothing and waits for nothing; where the database was away or silent, it is looked for
   * behind the answer.
   */
  pool(): PoolFigures {
    const figures = this.#pool.figures();
    void this.#pool.lookForDatabase();
    if (figures.connected === false) this.#probed().catch(() => undefined);
    return figures;
  }

  /** One at a time, however many ask. */
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

  /** The pool is closed by whoever opened it. */
  close(): void {}

  async #newest(sql: string, params: unknown[], toWireRow: (row: Row) => void): Promise<JsonRows> {
    const rows = [...(await this.#run<Row>(sql, params))].reverse();
    if (rows.length === 0) return { empty: true };
    for (const row of rows) toWireRow(row);
    return { empty: false, text: `{"data":${JSON.stringify(rows)}}` };
  }

  async #read(
    sql: string,
    params: unknown[],
    signal: AbortSignal | undefined,
    toWireRow: (row: Row) => void,
  ): Promise<JsonRows> {
    const encode = (rows: Row[]): string => {
      for (const row of rows) toWireRow(row);
      return JSON.stringify(rows);
    };
    const rows = await this.#run<Row>(`${sql} LIMIT ${CHUNK_ROWS + 1}`, params, { signal });
    if (rows.length === 0) return { empty: true };
    if (rows.length <= CHUNK_ROWS) return { empty: false, text: `{"data":${encode(rows)}}` };
    const chunks = await readWithRetry(this.#pool, { use: "stream", signal }, (lease) =>
      RowStream.open(lease, { sql, params, chunkRows: CHUNK_ROWS, encode }),
    );
    return { empty: false, chunks };
  }

  #run<T>(sql: string, params: unknown[], options: RunOptions = {}): Promise<T[]> {
    return runRead<T>(this.#pool, sql, params, options);
  }
}

function lastMoment(): string {
  return `${LAST_DAY} 23:59:59.999999`;
}

/** `YYYY-MM-DD HH:MM:SS.ffffff` of what PostgreSQL writes without the zeros at the end. */
function toStored(text: string): string {
  return text.length === 19 ? `${text}.000000` : text.padEnd(26, "0");
}

/** As a number that JSON.stringify writes with all its digits. */
function exactCount(value: unknown): unknown {
  if (typeof value !== "string") return value;
  return LONG_WHOLE.test(value) ? rawNumber(value) : Number(value);
}

function finite(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function barParams({ interval, ticker, from, to }: BarRange): unknown[] {
  if (interval === "daily") return [ticker, from ?? FIRST_DAY, to ?? LAST_DAY];
  return [ticker, from === null ? dayStart(FIRST_DAY) : asInstant(from), asInstant(to ?? lastMoment())];
}

function tickParams({ ticker, type, from, to }: TickRange): unknown[] {
  return [ticker, type, from === null ? dayStart(FIRST_DAY) : asInstant(from), asInstant(to ?? lastMoment())];
}

function barToWire(interval: BarInterval): (row: Row) => void {
  const stampColumn = interval === "daily" ? "date" : "datetime";
  return (row) => {
    row[stampColumn] = toWire(row[stampColumn] as string);
    row.volume = exactCount(row.volume);
    if (row.write_timestamp !== null)
      row.write_timestamp = `${toStored(row.write_timestamp as string)}+00:00`;
  };
}

function tickToWire(row: Row): void {
  row.size = exactCount(row.size);
  row.ask_size = exactCount(row.ask_size);
  if ("seq" in row) row.seq = exactCount(row.seq);
  row.timestamp = toWire(row.timestamp as string);
  if (row.write_timestamp !== null) row.write_timestamp = toWire(row.write_timestamp as string);
}
