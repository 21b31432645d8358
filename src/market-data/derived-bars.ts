/** Bars that are made when they are asked for, as the table of an answer. */

import { badRequest } from "../protocol/errors.ts";
import type { ColumnBatch, WalkPositions } from "../storage/model/columns.ts";
import { compareTexts, inByteOrder } from "../storage/series-order.ts";
import { seriesOf, sourceText } from "./bar-feed.ts";
import { BarMaker, type LeftOut, nothingLeftOut } from "./bar-maker.ts";
import type { AnswerTable, TablePositions } from "./contract.ts";
import { DerivedBatches } from "./derived-batches.ts";
import type { BarKey, BarOrigin, DerivedBarsQuestion, SourceOfTickers } from "./derived-questions.ts";
import { type MicrosBounds, storedBounds } from "./label-bounds.ts";
import { openAdjusted } from "./open-adjusted.ts";
import { pageToken } from "./page-token.ts";
import type { MarketSource } from "./questions.ts";
import { cutFigures, type Figures, joinFigures, reverseFigures, SeriesFigures } from "./series-figures.ts";
import { barsBefore, warmUp } from "./warm-up.ts";

/** Bars of one ticker that are kept to give the last one first. */
const DESCENDING_BARS_MAX = 500_000;

/** Tickers that are read at once, and the labels of their bars. */
interface Stretch extends SourceOfTickers {
  labels: MicrosBounds;
}

/** Resolves once the first rows are there, and with them the positions. */
export function derivedBars(question: DerivedBarsQuestion, market: MarketSource): Promise<AnswerTable> {
  const { adjustment, sources, from, signal } = question;
  if (adjustment === null) return openRun(question, market);
  const tickers = sources.flatMap((each) => each.tickers);
  // Figures are made of bars before the first one, too.
  const first =
    from === null || barsBefore(question) > 0 ? null : storedBounds({ from, to: null }, "date").from;
  const wanted = { tickers, isAll: false, from: first, wanted: adjustment, signal };
  return openAdjusted(wanted, market, (adjustments, onPositions) =>
    openRun({ ...question, adjusted: { adjustments, timeZone: adjustment.timeZone } }, market, onPositions),
  );
}

async function openRun(
  question: DerivedBarsQuestion,
  market: MarketSource,
  onPositions?: (found: WalkPositions) => void,
): Promise<AnswerTable> {
  const run = new DerivedRun(question, market, onPositions);
  const batches = run.batches();
  const first = await batches.next();
  return {
    columns: run.columns,
    names: new Map([["symbol", question.sources.flatMap(({ tickers }) => tickers)]]),
    batches: startingWith(first, batches),
    nextPage: () => run.nextPage(),
    positions: run.positions,
    warnings: () => run.warnings(),
  };
}

/** Unlike a generator's, its `return` ends the walk even if no batch was taken. */
function startingWith(
  first: IteratorResult<ColumnBatch, void>,
  rest: AsyncGenerator<ColumnBatch, void>,
): AsyncIterableIterator<ColumnBatch> {
  let waiting: IteratorResult<ColumnBatch, void> | null = first;
  return {
    async next() {
      const found = waiting ?? (await rest.next());
      waiting = null;
      return found.done === true ? { done: true, value: undefined } : found;
    },
    async return() {
      await rest.return();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

class DerivedRun {
  positions: TablePositions | null = null;
  readonly #question: DerivedBarsQuestion;
  readonly #market: MarketSource;
  readonly #left: LeftOut = nothingLeftOut();
  readonly #maker: BarMaker;
  readonly #out: DerivedBatches;

  readonly #heard: ((found: WalkPositions) => void) | undefined;

  constructor(
    question: DerivedBarsQuestion,
    market: MarketSource,
    heard: ((found: WalkPositions) => void) | undefined,
  ) {
    this.#question = question;
    this.#market = market;
    this.#heard = heard;
    this.#maker = new BarMaker(question, market, this.#left);
    this.#out = new DerivedBatches(question);
  }

  get columns(): AnswerTable["columns"] {
    return this.#out.columns;
  }

  async *batches(): AsyncGenerator<ColumnBatch, void> {
    const stretches = stretchesOf(this.#question);
    if (this.#question.withPositions && (stretches.length > 1 || barsBefore(this.#question) > 0))
      throw badRequest(
        "with_position: got true, expected bars of one source, of one page, and without figures of earlier bars",
      );
    for (const stretch of stretches) {
      for await (const piece of this.#pieces(stretch)) {
        this.#out.add(piece.ticker, piece.figures);
        if (!this.#out.isFull) continue;
        const batch = this.#out.take();
        if (batch !== null) yield batch;
        if (this.#out.next !== null) return;
      }
    }
    const batch = this.#out.take();
    if (batch !== null) yield batch;
  }

  nextPage(): string | null {
    const { next } = this.#out;
    if (next === null) return null;
    return pageToken(this.#question.identity, {
      ...{ ticker: next.ticker, part: null, stamp: String(next.start), seq: null },
    });
  }

  warnings(): string[] {
    const { crossed, oneSided, outside, straddling, unpriced, unsure } = this.#left;
    const counted = (rows: number, what: string): string[] => (rows === 0 ? [] : [`${rows} ${what}`]);
    return [
      ...sourceWarnings(this.#question),
      ...counted(outside, "rows lie outside of the sessions, and are in no bar"),
      ...counted(straddling, "bars lie in two buckets, and count in that of their start"),
      ...counted(crossed, "quotes had a bid above their ask, and have no mid"),
      ...counted(oneSided, "quotes lacked a side, and have no price"),
      // Of a walk that ended early, some were looked at and not counted.
      ...counted(Math.max(0, unpriced - crossed - oneSided), "rows had no price, and count for nothing"),
      ...(unsure.size === 0
        ? []
        : [`sale conditions that say nothing or several things: ${[...unsure].join(", ")}`]),
      ...(this.#maker.assumed === null ? [] : [this.#maker.assumed]),
    ];
  }

  async *#pieces(stretch: Stretch): AsyncGenerator<{ ticker: string; figures: Figures }> {
    const { source, tickers, labels } = stretch;
    const warm =
      labels.from === null ? null : await warmUp(this.#question, stretch, labels.from, this.#market);
    const isDescending = this.#question.order === "descending";
    let series: SeriesFigures | null = null;
    let kept: Figures[] = [];
    let keptRows = 0;
    const isHeard = this.#question.withPositions || this.#heard !== undefined;
    const onPositions = isHeard ? { onPositions: this.#onPositions } : {};
    const absent = this.#question.fill === "none" ? [] : inByteOrder(tickers).reverse();
    for await (const { ticker, builder, isEnd } of this.#maker.closed({
      source,
      tickers,
      labels,
      ...onPositions,
    })) {
      while (absent.length > 0 && compareTexts(absent.at(-1)!, ticker) < 0)
        yield* this.#filled(absent.pop()!, stretch, warm);
      if (absent.at(-1) === ticker) absent.pop();
      series ??= warm?.get(ticker) ?? new SeriesFigures(this.#question, source, labels.from);
      const pieces = [series.next(builder, labels.from), ...(isEnd ? [series.end(fillEnd(labels))] : [])];
      if (isEnd) series = null;
      const within = joinFigures(pieces.map((piece) => withinLabels(piece, labels)));
      if (!isDescending) {
        yield { ticker, figures: within };
        continue;
      }
      kept.push(within);
      keptRows += within.bars.rows;
      if (keptRows > DESCENDING_BARS_MAX) throw tooManyToTurn(ticker);
      if (!isEnd) continue;
      yield { ticker, figures: reverseFigures(joinFigures(kept)) };
      kept = [];
      keptRows = 0;
    }
    while (absent.length > 0) yield* this.#filled(absent.pop()!, stretch, warm);
  }

  /** What is filled in for a ticker without a row between the bounds. */
  async *#filled(
    ticker: string,
    { source, labels }: Stretch,
    warm: ReadonlyMap<string, SeriesFigures> | null,
  ): AsyncGenerator<{ ticker: string; figures: Figures }> {
    const series = warm?.get(ticker) ?? (await this.#seriesWithout(ticker, source, labels.from));
    if (series === null) return;
    const figures = withinLabels(series.end(fillEnd(labels)), labels);
    yield { ticker, figures: this.#question.order === "descending" ? reverseFigures(figures) : figures };
  }

  /** Null: it has no rows at all, and may be misspelt. */
  async #seriesWithout(
    ticker: string,
    source: BarOrigin,
    from: number | null,
  ): Promise<SeriesFigures | null> {
    const { kind, part } = seriesOf(source);
    const newest = await this.#market.newest({ kind, ticker, part, from: null, to: null, limit: 1 });
    return newest.empty ? null : new SeriesFigures(this.#question, source, from);
  }

  readonly #onPositions = (found: WalkPositions): void => {
    this.#heard?.(found);
    if (this.#question.withPositions) this.positions = { epoch: found.epoch, byTicker: found.positions };
  };
}

/** Nothing is filled in after the present moment. */
function fillEnd({ to }: MicrosBounds): number | null {
  return to === null ? null : Math.min(to + 1, Date.now() * 1_000);
}

/** Bars of buckets that the walk has read as a whole. */
function withinLabels(figures: Figures, { from, to }: MicrosBounds): Figures {
  const starts = figures.bars.column("start");
  let first = 0;
  let end = starts.length;
  while (from !== null && first < end && starts[first]! < from) first++;
  while (to !== null && end > first && starts[end - 1]! > to) end--;
  return cutFigures(figures, first, end);
}

function tooManyToTurn(ticker: string): unknown {
  return badRequest(
    `sort: got "desc" for more than ${DESCENDING_BARS_MAX} bars of ${ticker}, expected a later start, or "asc"`,
  );
}

/** Behind where an earlier page ended: the rest of its ticker, then the others. */
function stretchesOf({ sources, from, to, order, after }: DerivedBarsQuestion): Stretch[] {
  const labels = { from, to };
  if (after === null) return sources.map((each) => ({ ...each, labels }));
  return sources.flatMap(({ source, tickers }) => {
    const of = (some: readonly string[], bounds: MicrosBounds): Stretch[] =>
      some.length === 0 ? [] : [{ source, tickers: some, labels: bounds }];
    const own = tickers.filter((ticker) => ticker === after.ticker);
    const later = tickers.filter((ticker) => isBehind(ticker, after));
    return [
      ...of(own, order === "ascending" ? { from: after.start + 1, to } : { from, to: after.start - 1 }),
      ...of(later, labels),
    ];
  });
}

/** In the order of the walk: of bytes in UTF-8. */
function isBehind(ticker: string, after: BarKey): boolean {
  return Buffer.compare(Buffer.from(ticker), Buffer.from(after.ticker)) > 0;
}

function sourceWarnings({ sources, timeframe }: DerivedBarsQuestion): string[] {
  const byText = new Map<string, number>();
  for (const { source, tickers } of sources) {
    if (isOwnLength(source, timeframe.name)) continue;
    const text = sourceText(source);
    byText.set(text, (byText.get(text) ?? 0) + tickers.length);
  }
  return [...byText].map(
    ([text, tickers]) =>
      `bars of ${timeframe.name} are made of ${text}${sources.length === 1 ? "" : `, for ${tickers} tickers`}`,
  );
}

function isOwnLength(source: BarOrigin, name: string): boolean {
  return source.of === "bars" && (source.series.part ?? source.series.kind) === name;
}
