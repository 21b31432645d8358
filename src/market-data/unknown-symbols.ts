/**
 * Tickers that a question names and that have no row at all. They are most often misspelt, and an
 * answer without them looks like any other.
 */
import type { ColumnBatch, TextColumn } from "../storage/model/columns.ts";
import type { KindName } from "../storage/model/kinds.ts";
import type { AnswerTable } from "./contract.ts";
import type { MarketSource } from "./questions.ts";

/** Of tickers without rows in an answer, so many are looked up at its end … */
const LOOKED_UP_MAX = 1_000;
/** … and so many before its first byte, where more rows are to come. */
const LOOKED_UP_FIRST_MAX = 100;
/** Warnings about tickers in one answer; one more tells how many there are. */
const TOLD_MAX = 20;

export interface SeriesOfNames {
  kind: KindName;
  part: string | null;
  /** "1Day bars". */
  label: string;
}

/** @param label "1Day bars". */
export function unknownTexts(tickers: readonly string[], label: string): string[] {
  const told = tickers.slice(0, TOLD_MAX).map((ticker) => `${ticker}: no ${label} are stored`);
  const more = tickers.length - told.length;
  return more === 0 ? told : [...told, `${more} more tickers have no ${label} either`];
}

export class UnknownSymbols {
  readonly #named: readonly string[];
  readonly #series: SeriesOfNames;
  readonly #source: MarketSource;
  readonly #seen = new Set<string>();
  readonly #known = new Set<string>();
  readonly #unknown = new Set<string>();
  #isWhole = false;

  constructor(named: readonly string[], series: SeriesOfNames, source: MarketSource) {
    this.#named = named;
    this.#series = series;
    this.#source = source;
  }

  /** The same table, whose tickers are noted as its rows are taken. */
  watching(table: AnswerTable): AnswerTable {
    if (this.#named.length === 0) return table;
    const batches = table.batches[Symbol.asyncIterator]();
    const noting: AsyncIterableIterator<ColumnBatch> = {
      next: async () => {
        const found = await batches.next();
        if (found.done === true) this.#isWhole = true;
        else this.#note(found.value);
        return found;
      },
      return: async () => (await batches.return?.()) ?? { done: true, value: undefined },
      [Symbol.asyncIterator]: () => noting,
    };
    return { ...table, batches: noting };
  }

  /** A sentence for each ticker without rows. */
  async warnings(): Promise<string[]> {
    const { kind, part, label } = this.#series;
    const missing = this.#named.filter((ticker) => !this.#seen.has(ticker) && !this.#known.has(ticker));
    for (const ticker of missing.slice(0, this.#isWhole ? LOOKED_UP_MAX : LOOKED_UP_FIRST_MAX)) {
      if (this.#unknown.has(ticker)) continue;
      const newest = await this.#source.newest({ kind, ticker, part, from: null, to: null, limit: 1 });
      (newest.empty ? this.#unknown : this.#known).add(ticker);
    }
    return unknownTexts([...this.#unknown], label);
  }

  /** Rows of a ticker follow each other. */
  #note({ rows, columns }: ColumnBatch): void {
    const { codes, dictionary } = columns.get("symbol") as TextColumn;
    let code = -1;
    for (let row = 0; row < rows; row++) {
      if (codes[row] === code) continue;
      code = codes[row]!;
      this.#seen.add(dictionary[code]!);
    }
  }
}
