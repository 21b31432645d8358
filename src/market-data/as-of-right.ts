/** The right side of a join: rows of its tickers, as the left comes to them. */

import { type Numbers, numbersOf } from "../analysis/numbers.ts";
import type { FormatColumn } from "../formats/format-columns.ts";
import { secondsOfInterval } from "../market/interval.ts";
import { microsOfStamp } from "../market/stamp-micros.ts";
import type { ColumnQuery } from "../storage/model/columns.ts";
import { kindOf } from "../storage/model/kinds.ts";
import { AnswerBatches } from "./answer-batches.ts";
import { type AsOfQuestion, RIGHT_PREFIX, storedOf } from "./as-of-questions.ts";
import { lengthName } from "./bar-feed.ts";
import { type MicrosBounds, storedBounds } from "./label-bounds.ts";
import type { MarketSource } from "./questions.ts";
import { runsOf } from "./series-runs.ts";
import { stampsOf } from "./stamps.ts";

/** Rows of one ticker. */
interface RightPiece {
  ticker: string;
  /** When each counts. */
  micros: Float64Array;
  /** Of the columns, in their order. */
  cells: Numbers[];
}

export class RightRows {
  /** As they are called beside those of the left. */
  readonly columns: FormatColumn[];
  readonly #names: readonly string[];
  readonly #shape: AnswerBatches;
  /** From the label of a row to when it counts, in µs. */
  readonly #delay: number;
  readonly #pieces: AsyncGenerator<RightPiece, void>;
  #waiting: RightPiece | null = null;
  #waitingName = Buffer.alloc(0);
  #isEnded = false;

  constructor(question: AsOfQuestion, market: MarketSource) {
    const { right, rightColumns, zone } = question;
    const { table, kind, parts } = storedOf(right);
    this.#names = rightColumns;
    this.#shape = new AnswerBatches({
      table,
      kind,
      columns: ["symbol", ...new Set(["timestamp", ...rightColumns])],
      zone,
    });
    this.columns = rightColumns.map((name) => {
      const column = this.#shape.columns.find((each) => each.name === name)!;
      return { ...column, name: `${RIGHT_PREFIX[table]}${name}` };
    });
    // A bar is known when it is closed.
    this.#delay = right.of === "bars" ? secondsOfInterval(lengthName(right.series)) * 1e6 : 0;
    this.#pieces = this.#walk(market, {
      ...{ kind, parts, tickers: question.isAll ? null : tickersFrom(question), columns: this.#shape.stored },
      ...storedBounds(this.#bounds(question), kindOf(kind).stamp.type),
      ...(question.signal === undefined ? {} : { signal: question.signal }),
    });
  }

  /** The next rows of a ticker; tickers ascend from call to call. Null: it has no more. */
  async next(ticker: string): Promise<RightPiece | null> {
    const wanted = Buffer.from(ticker);
    for (;;) {
      if (this.#waiting === null) {
        if (this.#isEnded) return null;
        const found = await this.#pieces.next();
        if (found.done === true) {
          this.#isEnded = true;
          return null;
        }
        this.#waiting = found.value;
        this.#waitingName = Buffer.from(found.value.ticker);
      }
      const order = Buffer.compare(this.#waitingName, wanted);
      if (order > 0) return null;
      const piece = this.#waiting;
      this.#waiting = null;
      if (order === 0) return piece;
    }
  }

  async close(): Promise<void> {
    await this.#pieces.return();
  }

  async *#walk(market: MarketSource, query: ColumnQuery): AsyncGenerator<RightPiece, void> {
    for await (const batch of market.columns(query)) {
      const given = this.#shape.of(batch);
      const micros = stampsOf(given);
      if (this.#delay > 0) for (let row = 0; row < micros.length; row++) micros[row]! += this.#delay;
      const cells = this.#names.map((name) => numbersOf(given.columns.get(name))!);
      for (const { ticker, from, to } of runsOf(given))
        yield {
          ticker,
          micros: micros.subarray(from, to),
          cells: cells.map((numbers) => someOf(numbers, from, to)),
        };
    }
  }

  /** Of rows that a left row can be matched with. */
  #bounds({ from, to, options, left }: AsOfQuestion): MicrosBounds {
    const { direction, tolerance } = options;
    const [first, last] = [from, to].map((stamp) => (stamp === null ? null : microsOfStamp(stamp)));
    const back = direction === "forward" ? 0 : tolerance;
    const ahead = direction === "backward" ? 0 : tolerance;
    // Days of the left begin in its zone.
    const margin = kindOf(storedOf(left).kind).stamp.type === "date" ? DAY_MICROS : 0;
    return {
      from: first == null || back === Number.POSITIVE_INFINITY ? null : first - back - this.#delay - margin,
      to: last == null || ahead === Number.POSITIVE_INFINITY ? null : last + ahead + 2 * margin,
    };
  }
}

const DAY_MICROS = 86_400_000_000;

/** Behind an earlier page there is nothing to match before its last ticker. */
function tickersFrom({ tickers, after }: AsOfQuestion): string[] {
  if (after === null) return [...tickers];
  const first = Buffer.from(after.ticker);
  return tickers.filter((ticker) => Buffer.compare(Buffer.from(ticker), first) >= 0);
}

/** @param to exclusive. */
function someOf({ values, wide }: Numbers, from: number, to: number): Numbers {
  const some = [...(wide ?? [])].filter(([row]) => row >= from && row < to);
  return {
    values: values.subarray(from, to),
    wide: some.length === 0 ? null : new Map(some.map(([row, value]) => [row - from, value])),
  };
}
