/** Bars out of the stored ticks of one ticker, at one position. */
import { BarBuilder } from "../analysis/bar-builder.ts";
import type { BarValues } from "../analysis/bar-columns.ts";
import { microsOf, numbersOf } from "../analysis/numbers.ts";
import { quotePrices } from "../analysis/quote-prices.ts";
import type { TradeRows } from "../analysis/running-bar.ts";
import type { Grid } from "../calendar/contract.ts";
import { stampOfMicros } from "../market/stamp-micros.ts";
import { toWire } from "../market/timestamp.ts";
import type { StockReader } from "../storage/contract.ts";
import type { ColumnBatch, TextColumn, WalkPositions } from "../storage/model/columns.ts";
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
  source: BarSource;
  grid: Grid;
  /** Of the stamps, in µs since 1970. */
  from: number;
  until: number;
  signal?: AbortSignal;
}

/** @throws RequestError 503 */
export async function readBars(
  reader: Pick<StockReader, "columns">,
  asked: BarsAsked & { ticker: string },
): Promise<ReadBars> {
  const found = await readBarsOf(reader, { ...asked, tickers: [asked.ticker] });
  return found.get(asked.ticker)!;
}

/**
 * All tickers in one read: an engine may take longer to begin one than for the rows of hundreds.
 *
 * @throws RequestError 503
 */
export async function readBarsOf(
  reader: Pick<StockReader, "columns">,
  asked: BarsAsked & { tickers: readonly string[] },
): Promise<Map<string, ReadBars>> {
  const { tickers, source, grid, signal } = asked;
  let found: WalkPositions = { positions: new Map(), epoch: "" };
  const isOfTrades = source === "trades";
  const batches = reader.columns({
    line: "server",
    kind: "ticks",
    tickers,
    parts: [isOfTrades ? "trade" : "quote"],
    from: stampOfMicros(Math.max(FIRST_MICROS, asked.from)),
    to: stampOfMicros(Math.min(LAST_MICROS, asked.until) - 1),
    columns: ["ticker", "timestamp", "price", isOfTrades ? "size" : "ask_price"],
    onPositions: (positions) => {
      found = positions;
    },
    ...(signal === undefined ? {} : { signal }),
  });
  const bars = new BarsByTicker(grid);
  for await (const batch of batches) bars.add(batch, isOfTrades ? tradesOf(batch) : quotesOf(batch));
  const byTicker = bars.take();
  const { positions, epoch } = found;
  return new Map(
    tickers.map((ticker) => [
      ticker,
      { bars: byTicker.get(ticker) ?? new Map(), position: positions.get(ticker) ?? 0, epoch },
    ]),
  );
}

/** Batches in order of ticker and stamp. */
class BarsByTicker {
  readonly #builder: BarBuilder;
  readonly #bars = new Map<string, Map<number, BarValues>>();
  #ticker = "";

  constructor(grid: Grid) {
    this.#builder = new BarBuilder(grid);
  }

  add({ columns, rows }: ColumnBatch, ticks: TradeRows): void {
    const { codes, dictionary } = columns.get("ticker") as TextColumn;
    for (let row = 0; row < rows; ) {
      const first = row;
      const code = codes[row]!;
      while (row < rows && codes[row] === code) row++;
      this.#begin(dictionary[code]!);
      this.#builder.addTrades(runOf(ticks, first, row));
    }
  }

  take(): Map<string, Map<number, BarValues>> {
    this.#begin("");
    return this.#bars;
  }

  #begin(ticker: string): void {
    if (ticker === this.#ticker) return;
    this.#builder.endSeries();
    const closed = this.#builder.take();
    const bars = new Map<number, BarValues>();
    for (let row = 0; row < closed.rows; row++) bars.set(closed.column("start")[row]!, closed.at(row));
    if (bars.size > 0) this.#bars.set(this.#ticker, bars);
    this.#ticker = ticker;
  }
}

/** The rows from one on, up to another, exclusive. */
function runOf({ micros, prices, sizes, counts }: TradeRows, from: number, to: number): TradeRows {
  const wide = sizes?.wide ?? null;
  const ofRun = [...(wide ?? [])].flatMap(([row, size]): [number, bigint][] =>
    row >= from && row < to ? [[row - from, size]] : [],
  );
  return {
    micros: micros.subarray(from, to),
    prices: prices.subarray(from, to),
    sizes:
      sizes === null
        ? null
        : { values: sizes.values.subarray(from, to), wide: ofRun.length === 0 ? null : new Map(ofRun) },
    counts,
  };
}

function tradesOf({ columns }: ColumnBatch): TradeRows {
  return {
    micros: microsOf(columns.get("timestamp")!),
    prices: numbersOf(columns.get("price"))!.values,
    sizes: numbersOf(columns.get("size")),
    counts: null,
  };
}

/** The middle of bid and ask; quotes that have none, or whose bid is above the ask, don't count. */
function quotesOf({ columns }: ColumnBatch): TradeRows {
  const [bids, asks] = ["price", "ask_price"].map((name) => numbersOf(columns.get(name))!.values);
  const prices = quotePrices(bids!, asks!, "mid", { crossed: 0, oneSided: 0 });
  return { micros: microsOf(columns.get("timestamp")!), prices, sizes: null, counts: null };
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
