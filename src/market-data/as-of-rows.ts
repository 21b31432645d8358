/** Rows of one table, each with the row of another that was the newest by then. */

import { AsOfMatcher } from "../analysis/as-of.ts";
import { countsData, doubleData, instantData } from "../analysis/bars-data.ts";
import { MatchedColumn } from "../analysis/matched-column.ts";
import type { FormatColumn } from "../formats/format-columns.ts";
import type { ColumnBatch, ColumnData } from "../storage/model/columns.ts";
import { WaitingLine } from "../storage/waiting-line.ts";
import type { AsOfQuestion } from "./as-of-questions.ts";
import { RightRows } from "./as-of-right.ts";
import type { AnswerTable } from "./contract.ts";
import type { MarketSource } from "./questions.ts";
import { runsOf } from "./series-runs.ts";
import { stampsOf } from "./stamps.ts";
import { storedBars, storedTicks } from "./stored-rows.ts";

/** Joins of a worker that go on at once: each has two of its walks. */
const JOINS_MAX = 2;
/** Further ones get 503. */
const JOINS_WAITING_MAX = 50;
const JOIN_WAIT_MS = 10_000;

const line = new WaitingLine({
  what: "join",
  max: JOINS_WAITING_MAX,
  full: `${JOINS_MAX} are under way and ${JOINS_WAITING_MAX} wait`,
  late: `${JOINS_MAX} stayed under way`,
});
let underWay = 0;

/**
 * The left is read first: the right, read after it, has all that was known when a left row was
 * saved.
 *
 * @throws RequestError 503 too many joins wait.
 */
export async function asOfRows(question: AsOfQuestion, market: MarketSource): Promise<AnswerTable> {
  if (underWay < JOINS_MAX) underWay++;
  else await line.wait(JOIN_WAIT_MS, question.signal);
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    if (!line.give()) underWay--;
  };
  try {
    const left = await openLeft(question, market);
    const join = new Join(question, market, left);
    return {
      ...left,
      columns: [...left.columns, ...join.columns],
      batches: endingWith(join.batches(), left, end),
      nextPage: () => left.nextPage(),
      warnings: () => left.warnings(),
    };
  } catch (error) {
    end();
    throw error;
  }
}

function openLeft(question: AsOfQuestion, market: MarketSource): Promise<AnswerTable> {
  const { left } = question;
  if (left.of === "bars") return storedBars({ ...question, series: left.series, adjustment: null }, market);
  return storedTicks({ ...question, type: left.of === "trades" ? "trade" : "quote" }, market);
}

/** Unlike a generator's, its `return` ends the join even if no batch was taken. */
function endingWith(
  batches: AsyncGenerator<ColumnBatch, void>,
  left: AnswerTable,
  end: () => void,
): AsyncIterableIterator<ColumnBatch> {
  const stop = async (): Promise<void> => {
    try {
      await batches.return();
      await left.batches[Symbol.asyncIterator]().return?.();
    } finally {
      end();
    }
  };
  return {
    async next() {
      try {
        const found = await batches.next();
        if (found.done === true) end();
        return found.done === true ? { done: true, value: undefined } : found;
      } catch (error) {
        await stop();
        throw error;
      }
    },
    async return() {
      await stop();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

class Join {
  readonly #matcher: AsOfMatcher;
  readonly #right: RightRows;
  readonly #left: AnswerTable;
  readonly #cells: MatchedColumn[];
  #ticker: string | null = null;

  constructor(question: AsOfQuestion, market: MarketSource, left: AnswerTable) {
    this.#matcher = new AsOfMatcher(question.options);
    this.#right = new RightRows(question, market);
    this.#left = left;
    this.#cells = this.#right.columns.map(() => new MatchedColumn());
  }

  get columns(): FormatColumn[] {
    return this.#right.columns;
  }

  async *batches(): AsyncGenerator<ColumnBatch, void> {
    try {
      for await (const batch of this.#left.batches) yield await this.#joined(batch);
    } finally {
      await this.#right.close();
    }
  }

  async #joined(batch: ColumnBatch): Promise<ColumnBatch> {
    const micros = stampsOf(batch);
    for (const cells of this.#cells) cells.begin(batch.rows);
    for (const run of runsOf(batch)) {
      if (run.ticker !== this.#ticker) {
        this.#ticker = run.ticker;
        this.#matcher.reset();
        for (const cells of this.#cells) cells.reset();
      }
      await this.#match(micros, run.from, run.to);
    }
    const columns = new Map(batch.columns);
    for (const [at, column] of this.#right.columns.entries())
      columns.set(column.name, dataOf(column, this.#cells[at]!));
    return { rows: batch.rows, columns };
  }

  /** Rows of one ticker. @param to exclusive. */
  async #match(micros: Float64Array, from: number, to: number): Promise<void> {
    const left = micros.subarray(from, to);
    const matches = new Int32Array(left.length);
    for (let row = 0; row < left.length; ) {
      const next = this.#matcher.match(left, row, matches);
      for (const cells of this.#cells) cells.take(matches, { from: row, to: next, at: from });
      row = next;
      if (row === left.length) return;
      const rows = await this.#right.next(this.#ticker!);
      this.#matcher.feed(rows?.micros ?? null);
      for (const [at, cells] of this.#cells.entries()) if (rows !== null) cells.feed(rows.cells[at]!);
    }
  }
}

function dataOf({ type }: FormatColumn, { values, exact }: MatchedColumn): ColumnData {
  if (type === "instant" || type === "second") return instantData(values);
  return type === "double" ? doubleData(values) : countsData(values, exact);
}
