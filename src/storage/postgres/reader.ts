import { toWire } from "../../market/timestamp.ts";
import { unavailable } from "../../protocol/errors.ts";
import { rawNumber } from "../../protocol/json.ts";
import { within } from "../../time/within.ts";
import type { JsonRows, NewestQuery, PoolFigures, RangeRead, RowRange, StockReader } from "../contract.ts";
import { rowWithExtra } from "../extra-json.ts";
import {
  type AnswerForm,
  answerColumns,
  byKind,
  countColumns,
  hasExtra,
  type KindName,
  kindOf,
  type RowKind,
  seriesColumns,
} from "../model/kinds.ts";
import { RowPieces } from "../row-pieces.ts";
import type { RunOptions } from "./connection.ts";
import { storedParts, storedTickers } from "./distinct-values.ts";
import { isUnknownToDatabase } from "./errors.ts";
import type { PostgresPool } from "./pool.ts";
import { readWithRetry, runRead } from "./read.ts";
import { RowStream, type Row as WireRow } from "./row-stream.ts";
import { asInstant, columnSql, dayStart, isSeries, SQL_TYPES, stampParam, utcText } from "./sql-text.ts";
import { PostgresUpdates } from "./updates.ts";

/** An answer of more rows streams through a cursor, in chunks of so many. */
const CHUNK_ROWS = 1_000;
/** A caller waits no longer for a probe. The probe itself goes on, and later callers join it. */
const PROBE_WAIT_MS = 2_000;
const PROBE_TIMEOUT_MS = 3_000;
/** Whole numbers that may be too long for a double. */
const LONG_WHOLE = /^-?\d{16,19}$/;

/** CockroachDB doesn't know it. */
export const SIZE_SQL = "SELECT pg_database_size(current_database())::text AS bytes";
const TO_WIRE = byKind(rowToWire);

function rangeSql(kind: RowKind, direction: RangeRead, form: AnswerForm): string {
  const at = `p.${columnSql(kind.stamp.name)}`;
  const type = SQL_TYPES[kind.stamp.type];
  const params = seriesColumns(kind).length;
  const columnOf = (name: string): string => {
    if (name === "write_timestamp") return `${utcText("p.write_timestamp")} AS write_timestamp`;
    if (name !== kind.stamp.name) return `p.${columnSql(name)}`;
    return `${kind.stamp.type === "date" ? `${at}::text` : utcText(at)} AS ${columnSql(name)}`;
  };
  const order = [at, ...(kind.hasSeq ? ["p.seq"] : [])].map(
    (column) => `${column}${direction === "newest" ? " DESC" : ""}`,
  );
  const limit = direction === "newest" ? ` LIMIT $${params + 3}` : "";
  return `SELECT ${answerColumns(kind, form).map(columnOf).join(", ")} FROM ${kind.table} p
    WHERE ${isSeries(kind, "p")} AND ${at} >= $${params + 1}::${type} AND ${at} <= $${params + 2}::${type}
    ORDER BY ${order.join(", ")}${limit}`;
}

const TRADED_SQL = `SELECT sum(size) AS volume FROM realtime_data WHERE ticker = $1 AND type = 'trade'
  AND "timestamp" >= $2::timestamptz AND "timestamp" <= $3::timestamptz`;
/** The name differs from the column's, which the index is ordered by. */
const stampDay = (column: string): string => `(${column} AT TIME ZONE 'UTC')::date::text AS day`;
/** Newest first, and on one date in this order: quote, trade, hourly, daily. */
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
  readonly #rangeTexts = new Map<string, string>();
  #probing: Promise<void> | null = null;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
    this.updates = new PostgresUpdates(pool);
  }

  async rows(range: RowRange, signal?: AbortSignal): Promise<JsonRows> {
    const sql = this.#rangeSql("rows", range);
    const params = paramsOf(range);
    const encode = encoderOf(range);
    const rows = await this.#run<WireRow>(`${sql} LIMIT ${CHUNK_ROWS + 1}`, params, { signal });
    if (rows.length === 0) return { empty: true };
    if (rows.length <= CHUNK_ROWS) return { empty: false, text: `{"data":${encode(rows)}}` };
    const stream = await readWithRetry(this.#pool, { use: "stream", signal }, (lease) =>
      RowStream.open(lease, { sql, params, chunkRows: CHUNK_ROWS, encode }),
    );
    return { empty: false, chunks: new RowPieces(stream) };
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
    return finite((await this.#run<WireRow>(sql, [ticker])).at(-1)?.close);
  }

  async openingPrice(ticker: string, date: string): Promise<number | null> {
    const sql = "SELECT open FROM daily_prices WHERE ticker = $1 AND date = $2::date";
    return finite((await this.#run<WireRow>(sql, [ticker, date]))[0]?.open);
  }

  async dailyVolume(ticker: string, date: string): Promise<number | null> {
    const sql = "SELECT volume FROM daily_prices WHERE ticker = $1 AND date = $2::date";
    const volume = (await this.#run<WireRow>(sql, [ticker, date]))[0]?.volume ?? null;
    if (volume !== null) return finite(Number(volume));
    const params = [ticker, dayStart(date), asInstant(`${date} 23:59:59.999999`)];
    const traded = (await this.#run<WireRow>(TRADED_SQL, params))[0]?.volume ?? null;
    return traded === null ? null : finite(Number(traded));
  }

  tickers(kind: KindName, after: string | null, limit: number): Promise<string[]> {
    return storedTickers((sql, params) => this.#run(sql, params), kind, after, limit);
  }

  parts(kind: KindName, ticker: string): Promise<string[]> {
    return storedParts((sql, params) => this.#run(sql, params), kind, ticker);
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

  #run<T>(sql: string, params: unknown[], options: RunOptions = {}): Promise<T[]> {
    return runRead<T>(this.#pool, sql, params, options);
  }
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

/** `YYYY-MM-DD HH:MM:SS.ffffff`; PostgreSQL leaves out zeros at the end. */
function toStored(text: string): string {
  return text.length === 19 ? `${text}.000000` : text.padEnd(26, "0");
}

/** A number that JSON.stringify writes with all its digits. */
function exactCount(value: unknown): unknown {
  if (typeof value !== "string") return value;
  return LONG_WHOLE.test(value) ? rawNumber(value) : Number(value);
}

function finite(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function paramsOf({ kind: name, ticker, part, from, to }: RowRange): unknown[] {
  const kind = kindOf(name);
  const bounds = [stampParam(kind, from, "first"), stampParam(kind, to, "last")];
  return part === null ? [ticker, ...bounds] : [ticker, part, ...bounds];
}

/** Changes a row, in place, to the form of answers. */
function rowToWire(kind: RowKind): (row: WireRow) => void {
  const stamp = kind.stamp.name;
  const counts = [...countColumns(kind), ...(kind.hasSeq ? ["seq"] : [])];
  const isWire = kind.writtenForm === "wire";
  return (row) => {
    row[stamp] = toWire(row[stamp] as string);
    for (const column of counts) if (column in row) row[column] = exactCount(row[column]);
    const written = row.write_timestamp as string | null;
    if (written !== null) row.write_timestamp = isWire ? toWire(written) : `${toStored(written)}+00:00`;
  };
}
