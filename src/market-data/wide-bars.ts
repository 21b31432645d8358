/** One column of the bars of many tickers as a matrix: stamps down, tickers across. */

import { doubleData, instantData } from "../analysis/bars-data.ts";
import { numbersOf } from "../analysis/numbers.ts";
import { Panel, PanelLimitError } from "../analysis/panel.ts";
import { badRequest } from "../protocol/errors.ts";
import type { ColumnBatch, ColumnData } from "../storage/model/columns.ts";
import { turn } from "../time/pauses.ts";
import type { AnswerTable } from "./contract.ts";
import { runsOf } from "./series-runs.ts";
import { stampsOf } from "./stamps.ts";

/** Stamps times tickers: 200 MB. */
const PANEL_CELLS_MAX = 25_000_000;
/** Cells of one batch of the answer. */
const BATCH_CELLS = 65_536;
const STAMP = "timestamp";

/**
 * The same rows, wide. A column is named as its ticker; one without rows is all null.
 *
 * @param long has the columns `symbol`, `timestamp` and `name`, and all rows.
 * @throws RequestError 400 there are too many cells.
 */
export async function wideTable(
  long: AnswerTable,
  { tickers, name }: { tickers: readonly string[]; name: string },
): Promise<AnswerTable> {
  if (tickers.includes(STAMP))
    throw badRequest(`layout: got "wide" with the ticker ${STAMP}, which is the name of another column`);
  const columns = new Columns(name);
  try {
    for await (const batch of long.batches) columns.add(batch);
  } catch (error) {
    await long.batches[Symbol.asyncIterator]().return?.();
    throw error;
  }
  const { panel, order } = columns.panel(tickers);
  const stamp = long.columns.find((column) => column.name === STAMP)!;
  return {
    ...long,
    columns: [stamp, ...order.map((ticker) => ({ name: ticker, type: "double" as const }))],
    names: new Map(),
    batches: rowsOf(panel, order),
    nextPage: () => null,
    warnings: () => long.warnings(),
  };
}

/** Rows of a ticker follow each other, so each is a column once the next one begins. */
class Columns {
  readonly #name: string;
  readonly #panel = new Panel(PANEL_CELLS_MAX);
  readonly #tickers: string[] = [];
  #ticker: string | null = null;
  #stamps: Float64Array[] = [];
  #values: Float64Array[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  add(batch: ColumnBatch): void {
    const stamps = stampsOf(batch);
    const { values } = numbersOf(batch.columns.get(this.#name))!;
    for (const { ticker, from, to } of runsOf(batch)) {
      if (ticker !== this.#ticker) {
        this.#end();
        this.#ticker = ticker;
      }
      this.#stamps.push(stamps.subarray(from, to));
      this.#values.push(values.subarray(from, to));
    }
  }

  /** @param tickers of columns that are there even without a row. */
  panel(tickers: readonly string[]): { panel: Panel; order: string[] } {
    this.#end();
    const known = new Set(this.#tickers);
    for (const ticker of tickers) {
      if (known.has(ticker)) continue;
      this.#ticker = ticker;
      this.#end();
    }
    return { panel: this.#panel, order: this.#tickers };
  }

  #end(): void {
    if (this.#ticker === null) return;
    try {
      this.#panel.add(joined(this.#stamps), joined(this.#values));
    } catch (error) {
      if (error instanceof PanelLimitError) throw tooMany(error.message);
      throw error;
    }
    this.#tickers.push(this.#ticker);
    this.#ticker = null;
    this.#stamps = [];
    this.#values = [];
  }
}

function tooMany(what: string): unknown {
  return badRequest(`layout: wide: ${what}, expected fewer tickers, a shorter time, or layout=long`);
}

function joined(pieces: Float64Array[]): Float64Array {
  const all = new Float64Array(pieces.reduce((rows, piece) => rows + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function* rowsOf(panel: Panel, order: readonly string[]): AsyncGenerator<ColumnBatch> {
  const { stamps } = panel;
  const rows = Math.max(1, Math.floor(BATCH_CELLS / (order.length + 1)));
  for (let from = 0; from < stamps.length; from += rows) {
    const to = Math.min(from + rows, stamps.length);
    const cells = panel.rows(from, to);
    const columns = new Map<string, ColumnData>([[STAMP, instantData(stamps.slice(from, to))]]);
    for (const [at, ticker] of order.entries()) columns.set(ticker, doubleData(cells[at]!));
    yield { rows: to - from, columns };
    await turn();
  }
}
