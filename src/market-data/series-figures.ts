/** What follows from the bars of one ticker: bars that are filled in, and figures beside each. */
import type { BarBuilder } from "../analysis/bar-builder.ts";
import { BarColumns } from "../analysis/bar-columns.ts";
import { BarFiller, FillLimitError } from "../analysis/bar-fill.ts";
import type { Indicator } from "../analysis/indicators.ts";
import { openGrid } from "../calendar/open-grid.ts";
import { badRequest } from "../protocol/errors.ts";
import { bucketsFor } from "./bar-feed.ts";
import type { BarOrigin, DerivedBarsQuestion } from "./derived-questions.ts";
import type { LabelBuckets } from "./label-buckets.ts";

/** Rows that are filled in for one ticker. */
const FILLED_ROWS_MAX = 1_000_000;

export interface Figures {
  bars: BarColumns;
  /** Of each indicator, in the order of the question. */
  figures: Float64Array[];
}

export class SeriesFigures {
  readonly #question: DerivedBarsQuestion;
  readonly #filler: BarFiller;
  readonly #indicators: Indicator[];
  readonly #sessions: LabelBuckets | null;
  /** Bars so far. */
  bars = 0;

  /** @param from the first label that may be filled; null: that of the first bar. */
  constructor(question: DerivedBarsQuestion, source: BarOrigin, from: number | null) {
    const { timeframe, grid, fill, indicators } = question;
    this.#question = question;
    this.#filler = new BarFiller(openGrid({ timeframe, ...grid }), { fill, rowsMax: FILLED_ROWS_MAX });
    this.#filler.beginSeries(from);
    this.#indicators = indicators.map((kind) => kind.open());
    const bySession = indicators.some((kind) => kind.bySession);
    this.#sessions = bySession ? bucketsFor(source, timeframe, grid) : null;
  }

  /** Takes what the builder has closed. @param from labels before it were counted; null: none. */
  next(builder: BarBuilder, from: number | null): Figures {
    const taken = builder.take();
    const starts = taken.column("start");
    let first = 0;
    while (from !== null && first < starts.length && starts[first]! < from) first++;
    if (first === 0) return this.#figures(() => this.#filler.add(taken));
    const some = new BarColumns();
    some.append(taken, first, taken.rows);
    return this.#figures(() => this.#filler.add(some));
  }

  /** Bars before those of the answer: labels from `from` on and before `until`. */
  takeBetween(builder: BarBuilder, from: number | null, until: number): void {
    const taken = builder.take();
    const starts = taken.column("start");
    let first = 0;
    let end = taken.rows;
    while (from !== null && first < end && starts[first]! < from) first++;
    while (end > first && starts[end - 1]! >= until) end--;
    const some = new BarColumns();
    some.append(taken, first, end);
    this.#figures(() => this.#filler.add(some));
  }

  /** What is filled in after the last bar. @param to labels before it. */
  end(to: number | null): Figures {
    return this.#figures(() => this.#filler.endSeries(to));
  }

  #figures(fill: () => BarColumns): Figures {
    let bars: BarColumns;
    try {
      bars = fill();
    } catch (error) {
      if (!(error instanceof FillLimitError)) throw error;
      throw badRequest(
        `fill: ${this.#question.fill} makes more than ${error.rowsMax} bars of a ticker, expected a shorter time or a larger timeframe`,
      );
    }
    this.bars += bars.rows;
    const sessions = this.#sessions === null ? null : sessionsOf(bars, this.#sessions);
    return { bars, figures: this.#indicators.map((indicator) => indicator.of(bars, sessions)) };
  }
}

/** The session date of each bar; of one that is filled in by its bucket. */
function sessionsOf({ rows, columns }: BarColumns, buckets: LabelBuckets): Float64Array {
  const sessions = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const first = columns.first[row]!;
    const isFound = Number.isNaN(first)
      ? buckets.seek(columns.start[row]!) || buckets.seek(columns.end[row]! - 1)
      : buckets.seek(first);
    sessions[row] = isFound ? buckets.date : Number.NaN;
  }
  return sessions;
}

/** Some of the rows. @param to exclusive. */
export function cutFigures({ bars, figures }: Figures, from: number, to: number): Figures {
  if (from === 0 && to === bars.rows) return { bars, figures };
  const cut = new BarColumns();
  cut.append(bars, from, to);
  return { bars: cut, figures: figures.map((figure) => figure.subarray(from, to)) };
}

/** One after the other. */
export function joinFigures(pieces: readonly Figures[]): Figures {
  if (pieces.length === 1) return pieces[0]!;
  const bars = new BarColumns();
  for (const piece of pieces) bars.append(piece.bars, 0, piece.bars.rows);
  const figures = (pieces[0]?.figures ?? []).map((_, at) => {
    const joined = new Float64Array(bars.rows);
    let row = 0;
    for (const piece of pieces) {
      joined.set(piece.figures[at]!, row);
      row += piece.bars.rows;
    }
    return joined;
  });
  return { bars, figures };
}

/** The last bar first. */
export function reverseFigures({ bars, figures }: Figures): Figures {
  return { bars: bars.reversed(), figures: figures.map((figure) => figure.slice().reverse()) };
}
