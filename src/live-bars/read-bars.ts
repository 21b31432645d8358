/** Bars out of the stored ticks of one ticker, at one position. */
import { BarBuilder } from "../analysis/bar-builder.ts";
import type { BarValues } from "../analysis/bar-columns.ts";
import { microsOf, numbersOf } from "../analysis/numbers.ts";
import { quotePrices } from "../analysis/quote-prices.ts";
import type { Grid } from "../calendar/contract.ts";
import { stampOfMicros } from "../market/stamp-micros.ts";
import { toWire } from "../market/timestamp.ts";
import type { StockReader } from "../storage/contract.ts";
import type { ColumnBatch, WalkPositions } from "../storage/model/columns.ts";
import type { BarSource } from "./bar-spec.ts";

/** The rest of a record. */
const NO_TICKS = '"open":null,"high":null,"low":null,"close":null,"volume":0,"vwap":null,"trade_count":0';
/** Beyond what any database stores. */
const FIRST_MICROS = Date.parse("1700-01-01T00:00:00Z") * 1_000;
const LAST_MICROS = Date.parse("2255-01-01T00:00:00Z") * 1_000;

export interface ReadBars {
  /** By the start of their bucket; buckets without a row have none. */
  bars: Map<number, BarValues>;
  /** They are made of the updates up to here, and of nothing later. */
  position: number;
  epoch: string;
}

interface BarsAsked {
  ticker: string;
  source: BarSource;
  grid: Grid;
  /** Of the stamps, in µs since 1970. */
  from: number;
  until: number;
  signal?: AbortSignal;
}

/** @throws RequestError 503 */
export async function readBars(reader: Pick<StockReader, "columns">, asked: BarsAsked): Promise<ReadBars> {
  const { ticker, source, grid, signal } = asked;
  const from = Math.max(FIRST_MICROS, asked.from);
  const until = Math.min(LAST_MICROS, asked.until);
  let found: WalkPositions | null = null;
  const builder = new BarBuilder(grid);
  const isOfTrades = source === "trades";
  const batches = reader.columns({
    kind: "ticks",
    tickers: [ticker],
    parts: [isOfTrades ? "trade" : "quote"],
    from: stampOfMicros(from),
    to: stampOfMicros(until - 1),
    columns: ["timestamp", "price", isOfTrades ? "size" : "ask_price"],
    onPositions: (positions) => {
      found = positions;
    },
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const batch of batches) {
    if (isOfTrades) addTrades(builder, batch);
    else addQuotes(builder, batch);
  }
  builder.close();
  const closed = builder.take();
  const bars = new Map<number, BarValues>();
  for (let row = 0; row < closed.rows; row++) bars.set(closed.column("start")[row]!, closed.at(row));
  const { positions, epoch } = found ?? { positions: new Map<string, number>(), epoch: "" };
  return { bars, position: positions.get(ticker) ?? 0, epoch };
}

function addTrades(builder: BarBuilder, { columns }: ColumnBatch): void {
  builder.addTrades({
    micros: microsOf(columns.get("timestamp")!),
    prices: numbersOf(columns.get("price"))!.values,
    sizes: numbersOf(columns.get("size")),
    counts: null,
  });
}

/** The middle of bid and ask; quotes that have none, or whose bid is above the ask, don't count. */
function addQuotes(builder: BarBuilder, { columns }: ColumnBatch): void {
  const [bids, asks] = ["price", "ask_price"].map((name) => numbersOf(columns.get(name))!.values);
  const prices = quotePrices(bids!, asks!, "mid", { crossed: 0, oneSided: 0 });
  builder.addPrices({ micros: microsOf(columns.get("timestamp")!), prices });
}

/** A bar as clients are told it, in JSON. @param bar null: it has no row. */
export function barRecord({ start, end }: { start: number; end: number }, bar: BarValues | null): string {
  const number = (value: number): string => (Number.isFinite(value) ? JSON.stringify(value) : "null");
  const stamps = `"timestamp":"${toWire(stampOfMicros(start))}","end":"${toWire(stampOfMicros(end))}"`;
  if (bar === null) return `{${stamps},${NO_TICKS}}`;
  const { open, high, low, close, volume, vwap, count, exactVolume } = bar;
  return (
    `{${stamps},"open":${number(open)},"high":${number(high)},"low":${number(low)}` +
    `,"close":${number(close)},"volume":${exactVolume ?? number(volume)},"vwap":${number(vwap)}` +
    `,"trade_count":${number(count)}}`
  );
}
