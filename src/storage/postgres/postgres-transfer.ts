/**
 * Rows for a copy, page by page from one key to the next by the primary key's index. No cursor: a
 * snapshot that is kept for hours would keep PostgreSQL from cleaning up what the copy itself
 * replaces.
 */
import type { BarRange, BarRow, RowKind, TickRange, TickRow, TransferReader } from "../contract.ts";
import { ROW_TABLES } from "../tables.ts";
import { barStamp, countOf, seqOf, walkBars, walkTicks } from "../transfer-rows.ts";
import { storedTickers, storedTickTypes } from "./distinct-values.ts";
import type { PostgresPool } from "./pool.ts";
import { failureOf, requestErrorOf } from "./postgres-errors.ts";
import { asInstant, dayStart, FIRST_DAY, LAST_DAY, microseconds, real } from "./sql-text.ts";

/** Rows of one page, about 1 MB. */
const PAGE_ROWS = 4_000;
/** A page that met a broken connection is read again on another. */
const TRIES = 2;
const LAST_MOMENT = asInstant(`${LAST_DAY} 23:59:59.999999`);

interface StoredBar {
  stamp: string;
  open: number | null;
  high: number | null;
  low: number | null;
  close: number | null;
  volume: string | null;
}

interface StoredTick {
  stamp: string;
  price: number | null;
  size: string | null;
  ask_price: number | null;
  ask_size: string | null;
  seq: string;
}

export class PostgresTransfer implements TransferReader {
  readonly #pool: PostgresPool;
  readonly #close: () => Promise<void>;
  /** Null until asked for; without a table, no rows of its kind. */
  #tables: Promise<Set<string>> | null = null;

  constructor(pool: PostgresPool, close: () => Promise<void>) {
    this.#pool = pool;
    this.#close = close;
  }

  async tickers(kind: RowKind, after: string | null, limit: number): Promise<string[]> {
    if (!(await this.#has(kind))) return [];
    return storedTickers((sql, params) => this.#run(sql, params), kind, after, limit);
  }

  async tickTypes(ticker: string): Promise<string[]> {
    if (!(await this.#has("ticks"))) return [];
    return storedTickTypes((sql, params) => this.#run(sql, params), ticker);
  }

  async *bars({ interval, ticker, from, to }: BarRange): AsyncGenerator<BarRow[]> {
    if (!(await this.#has(interval))) return;
    const { name, stamp } = ROW_TABLES[interval];
    const daily = interval === "daily";
    const [text, type] = daily ? ["p.date::text", "date"] : [microseconds("p.datetime"), "timestamptz"];
    const first = daily ? FIRST_DAY : dayStart(FIRST_DAY);
    const asParam = daily ? (stamp: string) => stamp : asInstant;
    const last = to === null ? (daily ? LAST_DAY : LAST_MOMENT) : asParam(to);
    yield* walkBars(PAGE_ROWS, async (row) => {
      const start = row?.[0] ?? from;
      const rows = await this.#run<StoredBar>(
        `SELECT ${text} AS stamp, ${["open", "high", "low", "close"].map(real).join(", ")}, p.volume::text AS volume
         FROM ${name} p WHERE p.ticker = $1 AND p.${stamp} >= $2::${type} AND p.${stamp} <= $3::${type}
         ORDER BY p.${stamp} LIMIT ${PAGE_ROWS}`,
        [ticker, start === null ? first : asParam(start), last],
      );
      return rows.map((bar): BarRow => {
        const where = `${ticker} ${interval} ${bar.stamp}`;
        const { open, high, low, close } = bar;
        return [barStamp(bar.stamp, interval, ticker), open, high, low, close, countOf(bar.volume, where)];
      });
    });
  }

  async *ticks({ ticker, type, from, to }: TickRange): AsyncGenerator<TickRow[]> {
    if (!(await this.#has("ticks"))) return;
    const first = from === null ? dayStart(FIRST_DAY) : asInstant(from);
    const last = to === null ? LAST_MOMENT : asInstant(to);
    yield* walkTicks(PAGE_ROWS, async (row) => {
      const rows = await this.#run<StoredTick>(
        `SELECT ${microseconds('p."timestamp"')} AS stamp, ${real("price")}, p.size::text AS size, ${real("ask_price")},
           p.ask_size::text AS ask_size, p.seq::text AS seq
         FROM realtime_data p WHERE p.ticker = $1 AND p.type = $2
           AND (p."timestamp", p.seq) >= ($3::timestamptz, $4::bigint) AND p."timestamp" <= $5::timestamptz
         ORDER BY p."timestamp", p.seq LIMIT ${PAGE_ROWS}`,
        [
          ticker,
          type,
          row === null ? first : asInstant(row[0]),
          String(row?.[5] ?? Number.MIN_SAFE_INTEGER),
          last,
        ],
      );
      return rows.map((tick): TickRow => {
        const where = `${ticker} ${type} ${tick.stamp}`;
        return [
          tick.stamp,
          tick.price,
          countOf(tick.size, where),
          tick.ask_price,
          countOf(tick.ask_size, where),
          seqOf(tick.seq, where),
        ];
      });
    });
  }

  close(): Promise<void> {
    return this.#close();
  }

  async #has(kind: RowKind): Promise<boolean> {
    this.#tables ??= this.#run<{ name: string }>(
      "SELECT tablename AS name FROM pg_tables WHERE schemaname = ANY (current_schemas(false))",
      [],
    ).then((rows) => new Set(rows.map((row) => row.name)));
    return (await this.#tables).has(ROW_TABLES[kind].name);
  }

  async #run<T>(sql: string, params: string[]): Promise<T[]> {
    // PostgreSQL stores no text with a NUL.
    if (params.some((param) => param.includes("\0"))) return [];
    for (let attempt = 1; ; attempt++) {
      try {
        const lease = await this.#pool.acquire("shared");
        try {
          return await lease.connection.run<T>(sql, params);
        } finally {
          lease.release();
        }
      } catch (error) {
        if (failureOf(error)?.kind === "lost" && attempt < TRIES) continue;
        throw requestErrorOf(error, "read");
      }
    }
  }
}
