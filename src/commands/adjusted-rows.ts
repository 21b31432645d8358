/** The rows of an adjusted answer, piece by piece as they are read. */
import { type Adjustment, spanOf } from "../market/adjustment.ts";
import {
  AVERAGE_COLUMNS,
  continueAverages,
  type MovingAverageState,
  RECENT_CLOSES_MAX,
  startState,
} from "../market/moving-averages.ts";
import { roundAdjusted, roundVolume } from "../market/significant.ts";
import { type Pieces, piecesOf } from "../protocol/clients-pace.ts";
import { type JsonRecord, stringifyExact } from "../protocol/json.ts";
import { answeredRows } from "../storage/answered-rows.ts";
import type { JsonRows } from "../storage/contract.ts";

const PRICES = ["open", "high", "low", "close", "vwap"] as const;

export interface RowChange {
  adjustment: Adjustment;
  stampName: string;
  /** The ex-dates as stamps of answers. */
  bounds: readonly string[];
  /** The rows begin with the first of the series, and get averages of adjusted closes. */
  hasAverages: boolean;
  /** As a stamp of answers: earlier rows are left out. Null: none are. */
  from: string | null;
}

/** Changes rows in order, batch by batch. */
export class RowAdjuster {
  readonly #change: RowChange;
  #state: MovingAverageState = startState();
  #recent: number[] = [];
  /** The stamp of the first row, also where it isn't shown; null: there was none. */
  first: string | null = null;

  constructor(change: RowChange) {
    this.#change = change;
  }

  /** Changes the rows themselves. @returns those to show. */
  adjust(rows: JsonRecord[]): JsonRecord[] {
    this.first ??= rows.length === 0 ? null : String(rows[0]![this.#change.stampName]);
    const closes = rows.map((row) => this.#adjustRow(row));
    if (this.#change.hasAverages) this.#average(rows, closes);
    const { from, stampName } = this.#change;
    return from === null ? rows : rows.filter((row) => String(row[stampName]) >= from);
  }

  /** @returns the close, not rounded. */
  #adjustRow(row: JsonRecord): number | null {
    const { adjustment, bounds, stampName } = this.#change;
    const span = spanOf(bounds, String(row[stampName]));
    const ratio = adjustment.ratios[span]!;
    const payout = adjustment.payouts[span]!;
    const { close } = row;
    if (ratio === 1 && payout === 1) return typeof close === "number" ? close : null;
    const adjusted = (value: number): number => (value / ratio) * payout;
    for (const name of PRICES) {
      const price = row[name];
      if (typeof price === "number") row[name] = roundAdjusted(adjusted(price));
    }
    const { volume } = row;
    if (ratio !== 1 && (typeof volume === "number" || typeof volume === "bigint"))
      row.volume = roundVolume(Number(volume) * ratio);
    return typeof close === "number" ? adjusted(close) : null;
  }

  #average(rows: JsonRecord[], closes: (number | null)[]): void {
    const averages = continueAverages(this.#state, this.#recent, closes);
    for (const [at, row] of rows.entries())
      for (const [column, name] of AVERAGE_COLUMNS.entries()) row[name] = averages.rows[at]![column];
    this.#state = averages.end;
    this.#recent.push(...closes.filter((close) => close !== null));
    this.#recent = this.#recent.slice(-RECENT_CLOSES_MAX);
  }
}

/**
 * The answer, `{"data":[…],` and `end`.
 *
 * @param end members and the brace, called when all rows have passed.
 * @returns null: there is no row to show.
 */
export async function adjustedAnswer(
  rows: JsonRows,
  adjuster: RowAdjuster,
  end: () => string,
): Promise<string | Pieces | null> {
  if (rows.empty) return null;
  if ("text" in rows) {
    const shown: JsonRecord[] = [];
    for await (const batch of answeredRows(rows)) shown.push(...adjuster.adjust(batch));
    return shown.length === 0 ? null : `{"data":${encode(shown)},${end()}`;
  }
  const pieces = new AdjustedPieces(rows.chunks[Symbol.asyncIterator](), adjuster, end);
  return (await pieces.begin()) ? piecesOf(pieces) : null;
}

/** Not a generator: `return()` before the first `next()` would leave the rows open. */
class AdjustedPieces implements AsyncIterator<string> {
  readonly #chunks: AsyncIterator<string | Uint8Array>;
  readonly #batches: AsyncIterator<JsonRecord[]>;
  readonly #adjuster: RowAdjuster;
  readonly #end: () => string;
  #first: string | null = null;
  #isDone = false;

  constructor(chunks: AsyncIterator<string | Uint8Array>, adjuster: RowAdjuster, end: () => string) {
    this.#chunks = chunks;
    this.#batches = answeredRows({
      empty: false,
      chunks: { [Symbol.asyncIterator]: () => withoutReturn(chunks) },
    });
    this.#adjuster = adjuster;
    this.#end = end;
  }

  /** Finds errors while a status can still be sent. @returns whether there is a row to show. */
  async begin(): Promise<boolean> {
    this.#first = await this.#rows();
    return this.#first !== null;
  }

  async next(): Promise<IteratorResult<string>> {
    if (this.#isDone) return { done: true, value: undefined };
    if (this.#first !== null) {
      const value = `{"data":[${this.#first}`;
      this.#first = null;
      return { done: false, value };
    }
    const rows = await this.#rows();
    if (rows !== null) return { done: false, value: `,${rows}` };
    this.#isDone = true;
    return { done: false, value: `],${this.#end()}` };
  }

  async return(): Promise<IteratorResult<string>> {
    this.#isDone = true;
    await this.#chunks.return?.();
    return { done: true, value: undefined };
  }

  /** Those of the next batch that has any; null at the end. */
  async #rows(): Promise<string | null> {
    try {
      for (;;) {
        const { done, value } = await this.#batches.next();
        if (done) return null;
        const shown = this.#adjuster.adjust(value);
        if (shown.length > 0) return encode(shown).slice(1, -1);
      }
    } catch (error) {
      await this.return();
      throw error;
    }
  }
}

/** Whoever takes the chunks ends them. */
function withoutReturn<T>(chunks: AsyncIterator<T>): AsyncIterator<T> {
  return { next: () => chunks.next() };
}

/** The replacer of stringifyExact is slow, and a bigint is rare. */
function encode(rows: JsonRecord[]): string {
  try {
    return JSON.stringify(rows);
  } catch {
    return stringifyExact(rows);
  }
}
