/**
 * Copies series by series: compare, write the differences, read back, compare the sums.
 *
 * A copy that goes on reads the destination; it keeps no notes of its own. Reading a row costs a
 * fraction of writing it, and a note can be wrong after a power failure or a change of databases.
 */

import { messageOf } from "../../protocol/message-of.ts";
import { type StockWriter, type TransferReader, TransferRowError } from "../../storage/contract.ts";
import { KIND_NAMES, type KindName, kindOf } from "../../storage/model/kinds.ts";
import type { Progress } from "../progress.ts";
import { type Comparison, compareSeries, sumSeries } from "./compare-series.ts";
import { RowWriter } from "./row-writer.ts";
import { nameOf, readSeries, type Series } from "./series.ts";

export interface CopyRequest {
  source: TransferReader;
  /** null: a dry run, and it doesn't exist yet. */
  destination: TransferReader | null;
  /** null: compare only. */
  writer: Pick<StockWriter, "commit"> | null;
  /** null: all. */
  tickers: string[] | null;
  since: Record<KindName, string> | null;
  progress: Progress;
  onSeries(outcome: SeriesOutcome): void;
}

export interface SeriesOutcome {
  series: Series;
  /** Counted in the source, from `since` on. */
  rows: number;
  checksum: string;
  /** Rows that were missing or different. */
  rowsToWrite: number;
  rowsOnlyInDestination: number;
  /** null: the rows were read back and are equal; in a dry run, compared. */
  failure: string | null;
}

export interface CopyResult {
  /** Series that are equal in both databases. */
  seriesVerified: number;
  seriesFailed: number;
  rowsRead: number;
  rowsWritten: number;
  /** Counted in a dry run only. */
  rowsToWrite: number;
  rowsOnlyInDestination: number;
  /** Only the first few. */
  failures: string[];
  /** Why the copy stopped early, or null. */
  stoppedBy: string | null;
}

const TICKERS_PER_PAGE = 500;
/** Limit for series that are read back after their transaction. */
const UNVERIFIED_MAX = 1_000;
/** A series needs another round if others write to one of the databases meanwhile. */
const ROUNDS_MAX = 3;
const FAILURES_NAMED_MAX = 10;

/** Failures of a database are in the result, not thrown. */
export async function copyRows(request: CopyRequest): Promise<CopyResult> {
  const run = new CopyRun(request);
  try {
    await run.copyAll();
  } catch (error) {
    run.result.stoppedBy = messageOf(error);
  }
  request.progress.end();
  return run.result;
}

class CopyRun {
  readonly result: CopyResult = {
    seriesVerified: 0,
    seriesFailed: 0,
    rowsRead: 0,
    rowsWritten: 0,
    rowsToWrite: 0,
    rowsOnlyInDestination: 0,
    failures: [],
    stoppedBy: null,
  };
  readonly #request: CopyRequest;
  readonly #writer: RowWriter | null;
  #unverified: { series: Series; comparison: Comparison }[] = [];
  #rowsSeen = 0;
  #tickersDone = 0;
  #tickersTotal = 0;
  /** Tickers with at least one row. */
  readonly #seen = new Set<string>();

  constructor(request: CopyRequest) {
    this.#request = request;
    this.#writer = request.writer === null ? null : new RowWriter(request.writer);
  }

  async copyAll(): Promise<void> {
    for (const kind of KIND_NAMES)
      for await (const tickers of this.#tickers(kind)) this.#tickersTotal += tickers.length;
    for (const kind of KIND_NAMES) {
      for await (const tickers of this.#tickers(kind)) {
        for (const ticker of tickers) {
          for (const series of await this.#seriesOf(kind, ticker)) await this.#copySeries(series);
          this.#tickersDone++;
        }
      }
    }
    await this.#settle();
    await this.#reportAbsentTickers();
  }

  async *#tickers(kind: KindName): AsyncGenerator<string[]> {
    const { source, tickers } = this.#request;
    if (tickers !== null) {
      yield tickers;
      return;
    }
    for (let after: string | null = null; ; ) {
      const page: string[] = await source.tickers(kind, after, TICKERS_PER_PAGE);
      if (page.length > 0) yield page;
      if (page.length < TICKERS_PER_PAGE) return;
      after = page.at(-1)!;
    }
  }

  async #seriesOf(kind: KindName, ticker: string): Promise<Series[]> {
    if (kindOf(kind).part === null) return [{ kind, ticker, part: null }];
    const parts = await this.#request.source.parts(kind, ticker);
    return parts.map((part) => ({ kind, ticker, part }));
  }

  async #copySeries(series: Series): Promise<void> {
    const comparison = await this.#compare(series);
    if (comparison === null || comparison.source.rows === 0) return;
    this.#seen.add(series.ticker);
    this.#unverified.push({ series, comparison });
    const mustWait = this.#writer !== null && !this.#writer.isIdle;
    if (!mustWait || this.#unverified.length >= UNVERIFIED_MAX) await this.#settle();
  }

  /** @param again its rows were written. @returns null if the series has failed. */
  async #compare(series: Series, again = false): Promise<Comparison | null> {
    const { source, destination, since } = this.#request;
    const from = since?.[series.kind] ?? null;
    try {
      return await compareSeries({
        kind: series.kind,
        source: readSeries(source, series, from),
        destination: destination === null ? nothing() : readSeries(destination, series, from),
        onDifference: (row, there) => this.#writer?.add(series, row, again && there),
        onRowsRead: (rows) => this.#showProgress(rows),
      });
    } catch (error) {
      if (!(error instanceof TransferRowError)) throw error;
      this.#seen.add(series.ticker);
      this.#fail(series, error.message);
      return null;
    }
  }

  /** Writes pending rows, and reads their series back. */
  async #settle(): Promise<void> {
    const waiting = this.#unverified;
    this.#unverified = [];
    await this.#flush();
    for (const { series, comparison } of waiting) await this.#verify(series, comparison);
  }

  async #verify(series: Series, first: Comparison): Promise<void> {
    let comparison: Comparison | null = first;
    for (let round = 1; comparison !== null; round++) {
      const refusal = this.#writer?.takeRefusal(series) ?? null;
      const toWrite = comparison.missing + comparison.different;
      if (refusal !== null) return this.#finish(series, comparison, refusal);
      if (this.#writer === null || toWrite === 0 || (await this.#isReadBack(series, comparison)))
        return this.#finish(series, comparison, null);
      if (round === ROUNDS_MAX) {
        const why = `read back ${ROUNDS_MAX} times, and never equal: ${comparison.firstDifference}`;
        return this.#finish(series, comparison, why);
      }
      comparison = await this.#compare(series, true);
      await this.#flush();
    }
  }

  async #isReadBack(series: Series, comparison: Comparison): Promise<boolean> {
    const { destination, since } = this.#request;
    const rows = readSeries(destination!, series, since?.[series.kind] ?? null);
    const { source, completed, onlyInDestination } = comparison;
    return (await sumSeries(series.kind, rows)).equals(source.plus(completed).plus(onlyInDestination));
  }

  #finish(series: Series, comparison: Comparison, failure: string | null): void {
    const rowsToWrite = comparison.missing + comparison.different;
    this.result.rowsRead += comparison.source.rows;
    this.result.rowsOnlyInDestination += comparison.onlyInDestination.rows;
    if (this.#writer === null) this.result.rowsToWrite += rowsToWrite;
    if (failure !== null) this.#fail(series, failure);
    else if (this.#writer !== null || rowsToWrite === 0) this.result.seriesVerified++;
    this.#request.onSeries({
      series,
      rows: comparison.source.rows,
      checksum: comparison.source.checksum,
      rowsToWrite,
      rowsOnlyInDestination: comparison.onlyInDestination.rows,
      failure,
    });
  }

  async #flush(): Promise<void> {
    if (this.#writer === null) return;
    await this.#writer.flush();
    this.result.rowsWritten = this.#writer.rowsWritten;
  }

  #fail(series: Series, reason: string): void {
    this.#failWith(`${nameOf(series)}: ${reason}`);
  }

  #failWith(failure: string): void {
    this.result.seriesFailed++;
    if (this.result.failures.length < FAILURES_NAMED_MAX) this.result.failures.push(failure);
  }

  /** A mistyped name is an error. A ticker without rows since `since` isn't. */
  async #reportAbsentTickers(): Promise<void> {
    for (const ticker of this.#request.tickers ?? []) {
      if (!this.#seen.has(ticker) && !(await this.#hasRows(ticker)))
        this.#failWith(`${ticker}: the source has no row of it`);
    }
  }

  async #hasRows(ticker: string): Promise<boolean> {
    const { source } = this.#request;
    for (const kind of KIND_NAMES)
      for (const series of await this.#seriesOf(kind, ticker))
        for await (const rows of readSeries(source, series, null)) if (rows.length > 0) return true;
    return false;
  }

  #showProgress(rows: number): void {
    this.#rowsSeen += rows;
    this.#request.progress.update({
      rows: this.#rowsSeen,
      seriesDone: this.#tickersDone,
      seriesTotal: this.#tickersTotal,
    });
  }
}

async function* nothing(): AsyncGenerator<never> {}
