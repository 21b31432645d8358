/**
 * Makes the bars of a span anew from stored trades, and finds which stored ones have no trades any
 * more.
 */
import { microsOf } from "../analysis/numbers.ts";
import { isMadeByRollup } from "../market/rollup-mark.ts";
import { microsOfStamp, stampOfMicros } from "../market/stamp-micros.ts";
import type { ColumnBatch, ColumnQuery } from "../storage/model/columns.ts";
import type { SeriesRow } from "../storage/model/kinds.ts";
import { BarsOfTrades, TRADE_COLUMNS, tradesBefore, tradesOf } from "./bars-of-trades.ts";
import { TRADE } from "./changed-spans.ts";
import type { RollupDatabase } from "./rollup-database.ts";
import type { RollupSeries } from "./rules.ts";
import { alignedTo, type TimeSpan } from "./spans.ts";

const SECOND_LENGTH = "2024-01-02 10:00:00".length;
const MICROS = 1e6;
/** Beyond them a double holds no microseconds: trades there have no bars, as in `/v1`. */
const FIRST_MICROS = microsOfStamp("1685-01-01");
const LAST_MICROS = microsOfStamp("2255-01-01") - 1;
/** Of stretches of bars that are gone; where there are more, all of the span are written anew. */
const GONE_MAX = 100;

/** What a series lacks, and has too much. */
export interface SeriesChange {
  series: RollupSeries;
  rows: SeriesRow[];
  /** First and last stamp, inclusive. */
  gone: [first: string, last: string][];
}

export interface Rebuilt {
  changes: SeriesChange[];
  bars: BarsOfTrades;
  /** Where the span was longer than one step may be. */
  rest: TimeSpan | null;
  /** Of these times, every bar of every length was made of the trades that were read. */
  made: TimeSpan;
  /** The ticker's position in the snapshot of the trades; null: not known. */
  position: number | null;
}

export interface RebuildOptions {
  ticker: string;
  series: readonly RollupSeries[];
  span: TimeSpan;
  /** After so many trades it ends with the bucket, if that isn't the last. */
  tradesMax: number;
  /** Later trades are to go on from the bars: all lengths are made up to the same end. */
  isNewest?: boolean;
}

export async function rebuild(db: RollupDatabase, options: RebuildOptions): Promise<Rebuilt> {
  const { ticker, series, span, tradesMax, isNewest = false } = options;
  const step = commonStep(series);
  const until = isNewest ? alignedTo(step, span).until : span.until;
  const bars = new BarsOfTrades(series, { from: span.from, until });
  const { hull } = bars;
  const walk = tradesIn(db, ticker, hull);
  let end = hull.until;
  let count = 0;
  for await (const batch of walk.batches) {
    const trades = tradesOf(batch);
    const boundary = count < tradesMax ? Number.NaN : (Math.floor(bars.last / step) + 1) * step;
    if (trades.micros.at(-1)! >= boundary) {
      bars.add(tradesBefore(trades, boundary));
      end = boundary;
      break;
    }
    bars.add(trades);
    count += batch.rows;
  }
  const changes: SeriesChange[] = [];
  for (const { series: each, span: own, rows } of bars.take()) {
    const whole = { from: own.from, until: Math.min(own.until, end) };
    const gone = isFull(each, whole, rows)
      ? []
      : await goneIn(db, ticker, { series: each, span: whole, rows });
    if (gone.length <= GONE_MAX) changes.push({ series: each, rows, gone });
    else changes.push({ series: each, rows, gone: [[gone[0]![0], gone.at(-1)![1]]] });
  }
  const rest = end < hull.until ? { from: end, until: span.until } : null;
  const made = { from: bars.madeFrom, until: Math.min(end, bars.madeUntil) };
  return { changes, bars, rest, made, position: walk.position() };
}

/** @param span `from` inclusive, `until` exclusive. */
export function tradesIn(
  db: Pick<RollupDatabase, "columns">,
  ticker: string,
  span: TimeSpan,
  limit: number | null = null,
): { batches: AsyncIterable<ColumnBatch>; position(): number | null } {
  let position: number | null = null;
  const query: ColumnQuery = {
    kind: "ticks",
    tickers: [ticker],
    parts: [TRADE],
    from: stampOfMicros(Math.max(span.from, FIRST_MICROS)),
    to: stampOfMicros(Math.min(span.until - 1, LAST_MICROS)),
    columns: TRADE_COLUMNS,
    limit,
    onPositions({ positions }) {
      position = positions.get(ticker) ?? null;
    },
  };
  return { batches: db.columns(query), position: () => position };
}

/** In µs: where a bucket of every length ends. All of them divide a day. */
function commonStep(series: readonly RollupSeries[]): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  const seconds = series.map(({ micros }) => micros / MICROS);
  return seconds.reduce((common, each) => (common * each) / divisor(common, each), 1) * MICROS;
}

/** Every bucket has a bar, so none is gone. */
function isFull({ micros }: RollupSeries, { from, until }: TimeSpan, rows: readonly SeriesRow[]): boolean {
  return (until - from) / micros === rows.length;
}

/** Stretches of bars that a roll-up has made, and of which no trade is left. */
async function goneIn(
  db: RollupDatabase,
  ticker: string,
  { series, span, rows }: { series: RollupSeries; span: TimeSpan; rows: readonly SeriesRow[] },
): Promise<[string, string][]> {
  const gone: [string, string][] = [];
  let next = 0;
  let isNew = true;
  for await (const micros of ownBars(db, { ticker, series, span })) {
    const stamp = secondAt(micros);
    for (; next < rows.length && rows[next]![0] < stamp; next++) isNew = true;
    if (rows[next]?.[0] === stamp) continue;
    if (isNew) gone.push([stamp, stamp]);
    else gone.at(-1)![1] = stamp;
    isNew = false;
  }
  return gone;
}

export interface OwnBars {
  ticker: string;
  series: RollupSeries;
  span: TimeSpan;
  order?: "ascending" | "descending";
}

/** Stamps of stored bars that a roll-up has made, in µs. */
export async function* ownBars(
  db: Pick<RollupDatabase, "columns">,
  { ticker, series, span, order = "ascending" }: OwnBars,
): AsyncGenerator<number> {
  const batches = db.columns({
    kind: series.kind,
    tickers: [ticker],
    parts: series.part === null ? null : [series.part],
    from: secondAt(Math.max(span.from, FIRST_MICROS)),
    to: secondAt(Math.min(span.until - MICROS, LAST_MICROS)),
    order,
    columns: ["datetime", "extra"],
  });
  for await (const { columns, rows } of batches) {
    const micros = microsOf(columns.get("datetime")!);
    const extra = columns.get("extra")!;
    for (let row = 0; row < rows; row++) {
      const isOwn =
        extra.type === "text" &&
        extra.nulls?.[row] !== 1 &&
        isMadeByRollup(extra.dictionary[extra.codes[row]!]);
      if (isOwn) yield micros[row]!;
    }
  }
}

function secondAt(micros: number): string {
  return stampOfMicros(micros).slice(0, SECOND_LENGTH);
}
