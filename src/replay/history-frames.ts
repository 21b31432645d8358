/** Stored rows as the frames of a live subscription, in order of time, one row per frame. */
import { stampOfMicros } from "../market/stamp-micros.ts";
import { barsFrame, realtimeFrame } from "../protocol/frames.ts";
import type { JsonRecord } from "../protocol/json.ts";
import type { StockReader } from "../storage/contract.ts";
import { mergeByTime, type Timed } from "./merge-by-time.ts";
import { type StoredRow, storedSeries } from "./stored-series.ts";

export interface HistoryFrame extends Timed {
  symbol: string;
  text: string;
}

export interface HistoryRequest {
  reader: Pick<StockReader, "bars" | "ticks">;
  symbols: readonly string[];
  /** Types of ticks; `bar` stands for daily and hourly bars. */
  types: readonly string[];
  /** Microseconds since 1970, inclusive. */
  fromMicros: number;
  toMicros: number;
  /** See SeriesQuery. */
  turn?: () => Promise<void> | null;
  signal: AbortSignal;
}

const HOUR_MICROS = 3_600e6;
const DAY_MICROS = 24 * HOUR_MICROS;
const DAY_LENGTH = "2024-01-02".length;
const SECOND_LENGTH = "2024-01-02 10:00:00".length;
/** Limits for the rows in memory: of one replay, and of one of its series. */
const ROWS_MAX = 20_000;
const SERIES_ROWS_MAX = 1_000;

/** @throws RequestError the database didn't answer. */
export function historyFrames(request: HistoryRequest): AsyncGenerator<HistoryFrame> {
  const { symbols, types } = request;
  const seriesCount = countSeries(symbols.length, types);
  const rowsMax = Math.min(SERIES_ROWS_MAX, Math.floor(ROWS_MAX / seriesCount));
  const series = symbols.flatMap((symbol) =>
    types.flatMap((type) =>
      type === "bar"
        ? [bars(request, symbol, "daily", rowsMax), bars(request, symbol, "hourly", rowsMax)]
        : [ticks(request, symbol, type, rowsMax)],
    ),
  );
  return mergeByTime(series);
}

/** The number of series that are read side by side. */
export function countSeries(symbols: number, types: readonly string[]): number {
  return symbols * (types.length + (types.includes("bar") ? 1 : 0));
}

async function* ticks(
  { reader, fromMicros, toMicros, turn, signal }: HistoryRequest,
  symbol: string,
  type: string,
  rowsMax: number,
): AsyncGenerator<HistoryFrame[]> {
  const batches = storedSeries({
    stampName: "timestamp",
    fromMicros,
    toMicros,
    rowsMax,
    turn,
    signal,
    read: (from, to) =>
      reader.ticks({ ticker: symbol, type, from: stampOfMicros(from), to: stampOfMicros(to) }, signal),
  });
  for await (const rows of batches) {
    yield rows.map(({ atMicros, record }) => ({
      atMicros,
      symbol,
      text: realtimeFrame(symbol, type, [tickRecord(record)], "timestamp"),
    }));
  }
}

/** A bar's frame is due at the end of its period: earlier, its close would be the future. */
async function* bars(
  { reader, fromMicros, toMicros, turn, signal }: HistoryRequest,
  symbol: string,
  interval: "daily" | "hourly",
  rowsMax: number,
): AsyncGenerator<HistoryFrame[]> {
  const [stampName, length, period] =
    interval === "daily"
      ? (["date", DAY_LENGTH, DAY_MICROS] as const)
      : (["datetime", SECOND_LENGTH, HOUR_MICROS] as const);
  const untilTold = period - 1;
  const textOf = (micros: number): string => stampOfMicros(micros).slice(0, length);
  const batches = storedSeries({
    stampName,
    fromMicros: fromMicros - untilTold,
    toMicros: toMicros - untilTold,
    rowsMax,
    turn,
    signal,
    read: (from, to) => reader.bars({ ticker: symbol, interval, from: textOf(from), to: textOf(to) }, signal),
  });
  for await (const rows of batches) {
    yield rows.map((row) => ({
      atMicros: row.atMicros + untilTold,
      symbol,
      text: barsFrame(symbol, [barRecord(row, stampName)]),
    }));
  }
}

/** The shape that feed handlers send: its ask fields make it a quote. */
function tickRecord({ timestamp, price, size, ask_price, ask_size }: JsonRecord): JsonRecord {
  const record: JsonRecord = { timestamp, price, size };
  if (ask_price !== null && ask_price !== undefined) record.ask_price = ask_price;
  if (ask_size !== null && ask_size !== undefined) record.ask_size = ask_size;
  return record;
}

function barRecord({ record }: StoredRow, stampName: "date" | "datetime"): JsonRecord {
  const { open, high, low, close, volume } = record;
  const stamp = String(record[stampName]);
  return {
    [stampName]: stampName === "date" ? stamp.slice(0, DAY_LENGTH) : stamp,
    open,
    high,
    low,
    close,
    volume,
  };
}
