/** Bars that were made, as batches of an answer, up to its limit. */

import { doubleData } from "../analysis/bars-data.ts";
import type { FormatColumn } from "../formats/format-columns.ts";
import { Dictionary } from "../storage/column-values.ts";
import type { ColumnBatch, ColumnData } from "../storage/model/columns.ts";
import { derivedData, derivedFormat } from "./derived-columns.ts";
import type { BarKey, DerivedBarsQuestion } from "./derived-questions.ts";
import { cutFigures, type Figures, joinFigures } from "./series-figures.ts";

/** A batch has as many rows, or some more. */
const BATCH_ROWS = 4_096;

type DerivedShape = Pick<DerivedBarsQuestion, "columns" | "indicators" | "limit" | "grid">;

export class DerivedBatches {
  readonly columns: FormatColumn[];
  readonly #shape: DerivedShape;
  #waiting: { ticker: string; figures: Figures }[] = [];
  #waitingRows = 0;
  #rows = 0;
  #ending: BarKey | null = null;
  /** The last row, where the limit has kept others back; null: all were taken. */
  next: BarKey | null = null;

  constructor(shape: DerivedShape) {
    this.#shape = shape;
    const names = [...shape.columns, ...shape.indicators.map(({ name }) => name)];
    this.columns = names.map((name) => derivedFormat(name, shape.grid.zone));
  }

  /** Rows are ready to be taken. */
  get isFull(): boolean {
    return this.#waitingRows >= BATCH_ROWS || this.next !== null;
  }

  /** In order. What is beyond the limit is left out. */
  add(ticker: string, figures: Figures): void {
    const { rows } = figures.bars;
    if (rows === 0 || this.next !== null) return;
    const room = this.#shape.limit === null ? rows : this.#shape.limit - this.#rows;
    const taken = Math.min(rows, room);
    if (taken > 0) {
      this.#waiting.push({ ticker, figures: cutFigures(figures, 0, taken) });
      this.#ending = { ticker, start: figures.bars.columns.start[taken - 1]! };
    }
    this.#rows += taken;
    this.#waitingRows += taken;
    if (taken < rows) this.next = this.#ending;
  }

  /** The rows since the last call; null: there are none. */
  take(): ColumnBatch | null {
    const rows = this.#waitingRows;
    if (rows === 0) return null;
    const { bars, figures } = joinFigures(this.#waiting.map((each) => each.figures));
    const tickers = new Dictionary(rows);
    let at = 0;
    for (const { ticker, figures: each } of this.#waiting) {
      tickers.fill(ticker, at, at + each.bars.rows);
      at += each.bars.rows;
    }
    const { columns, indicators } = this.#shape;
    const data = [
      ...columns.map((name): [string, ColumnData] => [
        name,
        name === "symbol" ? { ...tickers.data, nulls: null } : derivedData(name, bars),
      ]),
      ...indicators.map(({ name }, index): [string, ColumnData] => [
        name,
        doubleData(figures[index]!.slice()),
      ]),
    ];
    this.#waiting = [];
    this.#waitingRows = 0;
    return { rows, columns: new Map(data) };
  }
}
