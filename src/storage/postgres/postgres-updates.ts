/** Reads the update log: see ARCHITECTURE.md "Updates and positions". */
import type { BarRow, TickRow } from "../contract.ts";
import { barStamp, countOf, seqOf } from "../transfer-rows.ts";
import type {
  NewestUpdate,
  StoredUpdate,
  TickerSnapshot,
  UpdateLimit,
  UpdateReader,
} from "../update-contract.ts";
import type { PostgresPool } from "./pool.ts";
import { failureOf } from "./postgres-errors.ts";
import { runRead } from "./read.ts";
import { microseconds } from "./sql-text.ts";

/**
 * Behind a pool that keeps connections of its own, another server may have taken over without a
 * sign of it here.
 */
const EPOCH_UNSEEN_MAX_MS = 2_000;

const EPOCH_SQL = "SELECT epoch FROM update_epoch ORDER BY epoch LIMIT 1";
/**
 * Where the database has been put back to an earlier state, positions are given again: a standby
 * took over that had not received everything, or a backup was played back. Both make another
 * timeline; a dump that is loaded elsewhere has another identifier.
 */
const INCARNATION_SQL = `SELECT pg_catalog.md5((SELECT system_identifier FROM pg_control_system())::text || '/' ||
  CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE pg_catalog.substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END) AS incarnation`;
const ALL_POSITIONS_SQL = "SELECT ticker, seq::float8 AS seq FROM update_positions";
const POSITIONS_SQL = `SELECT p.ticker, p.seq::float8 AS seq FROM pg_catalog.unnest($1::text[]) AS w(ticker)
  JOIN update_positions p ON p.ticker = w.ticker`;
/** The log's time may be the later one: see LOG_SQL. */
const NEWEST_SQL = `SELECT p.seq::float8 AS seq, greatest(p.saved_at, l.saved_at)::float8 AS saved_at
  FROM update_positions p LEFT JOIN update_log l ON l.ticker = p.ticker AND l.seq = p.seq WHERE p.ticker = $1`;
const AFTER_SQL = `SELECT seq::float8 AS seq, type, frame, saved_at::float8 AS saved_at FROM (
    SELECT n.*, pg_catalog.sum(pg_catalog.octet_length(n.frame)) OVER (ORDER BY n.seq) AS running FROM (
      SELECT seq, type, frame, saved_at FROM update_log
      WHERE ticker = $1 AND seq > $2::bigint ORDER BY seq LIMIT $3::bigint) n
  ) r WHERE running <= $4::bigint OR running = pg_catalog.octet_length(frame) ORDER BY r.seq`;

const newestTick = (type: string): string =>
  `(SELECT array[${microseconds('p."timestamp"')}, ${realText("price")}, p.size::text, ${realText("ask_price")}, p.ask_size::text, p.seq::text]
  FROM realtime_data p WHERE p.ticker = $1 AND p.type = '${type}' ORDER BY p."timestamp" DESC, p.seq DESC LIMIT 1)`;
const newestBar = (table: string, column: string, stamp: string): string =>
  `(SELECT array[${stamp}, ${["open", "high", "low", "close"].map(realText).join(", ")}, p.volume::text]
  FROM ${table} p WHERE p.ticker = $1 ORDER BY p.${column} DESC LIMIT 1)`;
/** One statement: every part sees the database of one moment. */
const SNAPSHOT_SQL = `SELECT (SELECT p.seq FROM update_positions p WHERE p.ticker = $1)::float8 AS seq,
  pg_catalog.to_json(${newestTick("quote")})::text AS quote, pg_catalog.to_json(${newestTick("trade")})::text AS trade,
  pg_catalog.to_json(${newestBar("daily_prices", "date", "p.date::text")})::text AS daily,
  pg_catalog.to_json(${newestBar("hourly_prices", "datetime", microseconds("p.datetime"))})::text AS hourly`;

interface SnapshotRow {
  seq: number | null;
  quote: string | null;
  trade: string | null;
  daily: string | null;
  hourly: string | null;
}

type Cells = (string | null)[];

export class PostgresUpdates implements UpdateReader {
  readonly #pool: PostgresPool;
  #epoch: { text: string; opened: number; readAtMs: number } | null = null;
  /** Null: not known yet. */
  #tellsIncarnation: boolean | null = null;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  async epoch(): Promise<string> {
    const known = this.#epoch;
    const isFresh =
      known !== null &&
      known.opened === this.#pool.opened &&
      !(this.#pool.pooled && performance.now() - known.readAtMs > EPOCH_UNSEEN_MAX_MS);
    if (isFresh) return known.text;
    const { opened } = this.#pool;
    const [row] = await runRead<{ epoch: string }>(this.#pool, EPOCH_SQL);
    const text = [row?.epoch ?? "none", ...(await this.#incarnation())].join("-");
    this.#epoch = { text, opened, readAtMs: performance.now() };
    return text;
  }

  async positions(tickers: readonly string[] | null): Promise<Map<string, number>> {
    const rows =
      tickers === null
        ? await runRead<{ ticker: string; seq: number }>(this.#pool, ALL_POSITIONS_SQL)
        : await runRead<{ ticker: string; seq: number }>(this.#pool, POSITIONS_SQL, [
            tickers.filter((ticker) => !ticker.includes("\0")),
          ]);
    return new Map(rows.map(({ ticker, seq }) => [ticker, seq]));
  }

  async newest(ticker: string): Promise<NewestUpdate> {
    const rows = await runRead<{ seq: number; saved_at: number }>(this.#pool, NEWEST_SQL, [ticker]);
    const { seq = 0, saved_at: savedAtMs = 0 } = rows[0] ?? {};
    return { position: seq, savedAtMs };
  }

  async after(ticker: string, after: number, { updates, characters }: UpdateLimit): Promise<StoredUpdate[]> {
    const rows = await runRead<{ seq: number; type: string; frame: string; saved_at: number }>(
      this.#pool,
      AFTER_SQL,
      [ticker, after, Math.max(1, updates), characters],
    );
    // Where ids are not given in order, trimming leaves holes: what lies behind one is for the next
    // question.
    const holeAt = rows.findIndex(({ seq }, index) => index > 0 && seq !== rows[index - 1]!.seq + 1);
    return (holeAt < 0 ? rows : rows.slice(0, holeAt)).map(
      ({ seq: position, type, frame, saved_at: savedAtMs }) => ({
        position,
        type,
        frame,
        savedAtMs,
      }),
    );
  }

  async snapshot(ticker: string): Promise<TickerSnapshot> {
    const [row] = await runRead<SnapshotRow>(this.#pool, SNAPSHOT_SQL, [ticker]);
    const { seq: position = null, quote = null, trade = null, daily = null, hourly = null } = row ?? {};
    return {
      position: position ?? 0,
      quote: quote === null ? null : tickOf(JSON.parse(quote), `${ticker} quote`),
      trade: trade === null ? null : tickOf(JSON.parse(trade), `${ticker} trade`),
      daily: daily === null ? null : barOf(JSON.parse(daily), ticker, "daily"),
      hourly: hourly === null ? null : barOf(JSON.parse(hourly), ticker, "hourly"),
    };
  }

  /** Nothing where the database doesn't tell, or its role may not ask. */
  async #incarnation(): Promise<string[]> {
    if (this.#tellsIncarnation === false) return [];
    try {
      const [row] = await runRead<{ incarnation: string }>(this.#pool, INCARNATION_SQL);
      this.#tellsIncarnation = true;
      return [row!.incarnation.slice(0, 8)];
    } catch (error) {
      // Once it has told, silence is no other epoch.
      if (this.#tellsIncarnation === true || failureOf(error)?.kind !== "refused") throw error;
      this.#tellsIncarnation = false;
      return [];
    }
  }
}

function realText(column: string): string {
  return `p.${column}::double precision::text`;
}

function tickOf([stamp, price, size, askPrice, askSize, seq]: Cells, where: string): TickRow {
  return [
    stamp!,
    numberOf(price),
    countOf(size ?? null, where),
    numberOf(askPrice),
    countOf(askSize ?? null, where),
    seqOf(seq!, where),
  ];
}

function barOf([stamp, ...cells]: Cells, ticker: string, interval: "daily" | "hourly"): BarRow {
  const [open, high, low, close, volume] = cells;
  const where = `${ticker} ${interval} ${stamp}`;
  return [
    barStamp(stamp!, interval, ticker),
    numberOf(open),
    numberOf(high),
    numberOf(low),
    numberOf(close),
    countOf(volume ?? null, where),
  ];
}

/** Null also for what JSON can't say: NaN and infinities, which other programs may have stored. */
function numberOf(text: string | null | undefined): number | null {
  const number = text == null ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : null;
}
