/**
 * Stored rows as the frames that a live subscriber would have got, in order of time, one row to a
 * frame.
 */
import { secondsOfInterval } from "../market/interval.ts";
import { stampOfMicros } from "../market/stamp-micros.ts";
import { toWire } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { barsFrame, realtimeFrame } from "../protocol/frames.ts";
import type { JsonRecord } from "../protocol/json.ts";
import type { StockReader } from "../storage/contract.ts";
import { type ColumnBatch, rowsOfBatch } from "../storage/model/columns.ts";
import { KIND_NAMES, KINDS, type KindName, kindOf, partName } from "../storage/model/kinds.ts";
import { mergeByTime, type Timed } from "./merge-by-time.ts";
import { storedSeries } from "./stored-series.ts";

export interface HistoryFrame extends Timed {
  symbol: string;
  text: string;
}

export interface HistoryRequest {
  reader: Pick<StockReader, "columns" | "parts">;
  symbols: readonly string[];
  /** Types of ticks; `bar` are bars of every length. */
  types: readonly string[];
  /** Microseconds since 1970, inclusive. */
  fromMicros: number;
  toMicros: number;
  /** See SeriesQuery. */
  turn?: () => Promise<void> | null;
  signal: AbortSignal;
}

const SECOND_MICROS = 1e6;
/** Rows that one replay keeps in memory, of all its series together, and those of one of them. */
const ROWS_MAX = 20_000;
const SERIES_ROWS_MAX = 1_000;
/** Tickers times types and lengths of bars that one replay may read side by side. */
export const REPLAY_SERIES_MAX = 200;
const STAMP_LENGTHS = {
  date: "2024-01-02".length,
  second: "2024-01-02 10:00:00".length,
  instant: "2024-01-02 10:00:00.000000".length,
};

interface PlayedSeries {
  kind: KindName;
  symbol: string;
  part: string | null;
}

/** @throws RequestError 400 too many series; the database stayed away. */
export async function* historyFrames(request: HistoryRequest): AsyncGenerator<HistoryFrame> {
  const series: PlayedSeries[] = [];
  for (const symbol of request.symbols)
    for (const type of request.types)
      series.push(
        ...(type === "bar"
          ? await barSeries(request.reader, symbol)
          : [{ kind: "ticks" as const, symbol, part: type }]),
      );
  if (series.length > REPLAY_SERIES_MAX)
    throw badRequest(
      `replay: the symbols have ${series.length} series of these types, expected at most ${REPLAY_SERIES_MAX}`,
    );
  const rowsMax = Math.min(SERIES_ROWS_MAX, Math.floor(ROWS_MAX / series.length));
  yield* mergeByTime(series.map((each) => framesOf(request, each, rowsMax)));
}

async function barSeries(reader: HistoryRequest["reader"], symbol: string): Promise<PlayedSeries[]> {
  const series: PlayedSeries[] = [];
  for (const kind of KIND_NAMES) {
    if (KINDS[kind].noun !== "bars") continue;
    const parts = KINDS[kind].part === null ? [null] : await reader.parts(kind, symbol);
    series.push(...parts.map((part) => ({ kind, symbol, part })));
  }
  return series;
}

async function* framesOf(
  { reader, fromMicros, toMicros, turn, signal }: HistoryRequest,
  { kind, symbol, part }: PlayedSeries,
  rowsMax: number,
): AsyncGenerator<HistoryFrame[]> {
  const { stamp, values } = kindOf(kind);
  const names = [stamp.name, ...values.filter(({ onRequest }) => onRequest !== true).map(({ name }) => name)];
  // A bar is told in the last moment of its period: earlier, its close would be the future.
  const untilTold = kind === "ticks" ? 0 : secondsOfInterval(partName(kind, part)) * SECOND_MICROS - 1;
  const textOf = (micros: number): string => stampOfMicros(micros).slice(0, STAMP_LENGTHS[stamp.type]);
  const batches = storedSeries({
    stampName: stamp.name,
    fromMicros: fromMicros - untilTold,
    toMicros: toMicros - untilTold,
    rowsMax,
    turn,
    signal,
    async *read({ from, to, limit }) {
      const walk = reader.columns({
        ...{ kind, tickers: [symbol], parts: part === null ? null : [part], limit, signal },
        ...{ from: textOf(from), to: textOf(to), columns: names, line: "page" },
      });
      for await (const batch of walk) yield recordsOf(kind, batch);
    },
  });
  for await (const rows of batches) {
    yield rows.map(({ atMicros, record }) => ({
      atMicros: atMicros + untilTold,
      symbol,
      text:
        kind === "ticks"
          ? realtimeFrame(symbol, part!, [tickRecord(record)], "timestamp")
          : barsFrame(symbol, [barRecord(record, kind)], part),
    }));
  }
}

/** As a client would send them. */
function recordsOf(name: KindName, batch: ColumnBatch): JsonRecord[] {
  const { values } = kindOf(name);
  const places = values.flatMap((value, index) =>
    batch.columns.has(value.name) ? [{ ...value, at: index + 1 }] : [],
  );
  return rowsOfBatch(name, batch).map((row) => {
    const record: JsonRecord = { [kindOf(name).stamp.name]: toWire(row[0]) };
    for (const { name: column, type, at } of places) {
      const value = row[at] ?? null;
      // Digits that no double has.
      record[column] = type === "count" && typeof value === "string" ? BigInt(value) : value;
    }
    return record;
  });
}

/** The shape that feed handlers send: its ask fields make it a quote. */
function tickRecord({ timestamp, price, size, ask_price, ask_size }: JsonRecord): JsonRecord {
  const record: JsonRecord = { timestamp, price, size };
  if (ask_price !== null && ask_price !== undefined) record.ask_price = ask_price;
  if (ask_size !== null && ask_size !== undefined) record.ask_size = ask_size;
  return record;
}

function barRecord(record: JsonRecord, kind: KindName): JsonRecord {
  const { stamp, values } = KINDS[kind];
  const text = String(record[stamp.name]);
  const bar: JsonRecord = {
    [stamp.name]: text.slice(0, stamp.type === "date" ? STAMP_LENGTHS.date : undefined),
  };
  for (const { name } of values) bar[name] = record[name];
  return bar;
}
