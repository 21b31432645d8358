/** Bars of some tickers out of stored rows of one source: a walk, and what is made of it. */
import { BarBuilder } from "../analysis/bar-builder.ts";
import type { SkippedQuotes } from "../analysis/quote-prices.ts";
import { secondsOfInterval } from "../market/interval.ts";
import { hasParts } from "../storage/model/bar-parts.ts";
import type { ColumnBatch, ColumnQuery } from "../storage/model/columns.ts";
import { type KindName, kindOf, partName } from "../storage/model/kinds.ts";
import { AdjustedBatches } from "./adjusted-batches.ts";
import { AnswerBatches } from "./answer-batches.ts";
import { type AddRows, bucketsFor, feedOf } from "./bar-feed.ts";
import type { Adjusted, BarOrigin, DerivedBarsQuestion } from "./derived-questions.ts";
import { type MicrosBounds, rowBounds, storedBounds } from "./label-bounds.ts";
import type { LabelBuckets } from "./label-buckets.ts";
import { partsFor, partsOf } from "./part-feed.ts";
import type { MarketSource } from "./questions.ts";
import { SaleCounter } from "./sale-counts.ts";
import { runsOf } from "./series-runs.ts";

const DAY_SECONDS = 86_400;
/** Bars of one ticker that are closed before they are given away. */
const CLOSED_ROWS = 4_096;

/** What a walk has left out; warnings tell of it. */
export interface LeftOut extends SkippedQuotes {
  /** Outside of sessions. */
  outside: number;
  /** Bars in two buckets. */
  straddling: number;
  /** Without a price. */
  unpriced: number;
  /** Sale conditions that say nothing. */
  unsure: Set<string>;
}

export function nothingLeftOut(): LeftOut {
  return { crossed: 0, oneSided: 0, outside: 0, straddling: 0, unpriced: 0, unsure: new Set() };
}

export interface BarsWalk {
  source: BarOrigin;
  tickers: readonly string[];
  /** Of labels; rows around them are read too. */
  labels: MicrosBounds;
  onPositions?: ColumnQuery["onPositions"];
}

/** Closed bars of a ticker wait in the builder; `isEnd`: these are its last ones. */
export interface ClosedBars {
  ticker: string;
  builder: BarBuilder;
  isEnd: boolean;
}

export class BarMaker {
  readonly #question: DerivedBarsQuestion;
  readonly #market: MarketSource;
  readonly #left: LeftOut;
  readonly #sales: SaleCounter;
  /** Of the days that were asked for. */
  assumed: string | null = null;

  constructor(question: DerivedBarsQuestion, market: MarketSource, left: LeftOut) {
    this.#question = question;
    this.#market = market;
    this.#left = left;
    this.#sales = new SaleCounter(question.timeframe.unit === "second" ? "intraday" : "daily");
  }

  /** In order of ticker and label. Whoever gets bars takes them out of the builder. */
  async *closed({ source, tickers, labels, onPositions }: BarsWalk): AsyncGenerator<ClosedBars> {
    const { timeframe, grid, signal, adjusted } = this.#question;
    const sales = this.#question.saleConditions ? this.#sales : null;
    const feed = feedOf(source, { skipped: this.#left, sales });
    const columns = ["symbol", ...feed.columns];
    // The dates of daily bars become stamps at 00:00 UTC, as grids take them.
    const shape = new AnswerBatches({ table: feed.table, kind: feed.kind, columns, zone: "UTC" });
    const adjust = adjusted === null ? null : adjustedBatches(adjusted, feed.kind, feed.parts);
    const buckets = bucketsFor(source, timeframe, grid);
    const builder = new BarBuilder(buckets);
    // Conditions and adjustments are of single trades.
    const bars = sales === null && adjust === null ? partsFor(source, timeframe, grid) : null;
    const query: ColumnQuery = {
      ...{ kind: feed.kind, tickers, parts: feed.parts, columns: shape.stored },
      ...storedBounds(rowBounds(labels, timeframe), kindOf(feed.kind).stamp.type),
      ...(bars === null ? {} : { bars }),
      ...(signal === undefined ? {} : { signal }),
      ...(onPositions === undefined ? {} : { onPositions }),
    };
    const rowsOf = (batch: ColumnBatch): { named: ColumnBatch; add: AddRows } => {
      const shaped = shape.of(batch);
      const named = adjust === null ? shaped : adjust.of(shaped, batch);
      return { named, add: feed.open(named) };
    };
    let ticker: string | null = null;
    try {
      for await (const batch of this.#market.columns(query)) {
        const { named, add } = hasParts(batch) ? partsOf(batch, this.#left) : rowsOf(batch);
        for (const run of runsOf(named)) {
          if (run.ticker !== ticker) {
            builder.endSeries();
            if (ticker !== null) yield { ticker, builder, isEnd: true };
            ticker = run.ticker;
          }
          add(builder, run.from, run.to);
          if (builder.closedRows >= CLOSED_ROWS) yield { ticker, builder, isEnd: false };
        }
      }
      builder.endSeries();
      if (ticker !== null) yield { ticker, builder, isEnd: true };
    } finally {
      // Also of a walk that is given up.
      this.#note(builder, buckets);
    }
  }

  #note(builder: BarBuilder, buckets: LabelBuckets): void {
    this.#left.outside += builder.outside;
    this.#left.straddling += buckets.straddling;
    this.#left.unpriced += builder.skipped;
    for (const codes of this.#sales.unsure) this.#left.unsure.add(codes);
    this.assumed ??= buckets.assumed;
  }
}

function adjustedBatches(
  { adjustments, timeZone }: Adjusted,
  kind: KindName,
  parts: string[] | null,
): AdjustedBatches {
  const length = kind === "ticks" ? 0 : secondsOfInterval(partName(kind, parts?.[0] ?? null));
  const stampName = kindOf(kind).stamp.name;
  return new AdjustedBatches({ adjustments, stampName, hasDates: length >= DAY_SECONDS, timeZone });
}
