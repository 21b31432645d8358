/**
 * Writes the rows of a series and a period into a file of the archive: those of the database, and
 * those that a file of the period has already. The file counts only once it was read back and has
 * every row.
 */
import { open } from "node:fs/promises";
import { type CountType, formatColumns } from "../formats/format-columns.ts";
import { openEncoder } from "../formats/open-encoder.ts";
import { CountTypeError } from "../formats/typed-columns.ts";
import type { Archive } from "../storage/archive/archive.ts";
import type { ArchivedSeries, Period, StagedFile } from "../storage/archive/archive-files.ts";
import type { StockReader } from "../storage/contract.ts";
import { type ColumnBatch, cellReaders, rowColumnNames } from "../storage/model/columns.ts";
import type { SeriesValue } from "../storage/model/kinds.ts";
import { sleep } from "../time/pauses.ts";
import { boundsOfPeriod } from "./first-row.ts";

/** Encoding one takes some milliseconds, in which nothing else is done. */
const ROW_GROUP_ROWS = 8_192;

export interface PeriodToArchive {
  archive: Archive;
  /** Of the database alone. */
  columns: StockReader["columns"];
  series: ArchivedSeries;
  period: Period;
  signal: AbortSignal;
}

/**
 * @returns the file, to be withdrawn where nothing of it is removed.
 * @throws ChangedError The rows have changed meanwhile. @throws Error It can't be written.
 */
export async function archivePeriod(of: PeriodToArchive): Promise<StagedFile> {
  const staged = await of.archive.files.stage(of.series, of.period);
  try {
    await write(staged.path, of);
    await verify(staged.path, of);
    await staged.publish();
    return staged;
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

/** What was read back isn't what is stored now: most likely, somebody has saved meanwhile. */
export class ChangedError extends Error {
  override name = "ChangedError";
}

/** A count that doesn't fit its column begins the file anew, with a type that holds it. */
async function write(path: string, of: PeriodToArchive): Promise<void> {
  const counts = new Map<string, CountType>();
  for (;;) {
    try {
      await writeAs(path, counts, of);
      return;
    } catch (error) {
      if (!(error instanceof CountTypeError)) throw error;
      counts.set(error.column, error.type);
    }
  }
}

async function writeAs(
  path: string,
  counts: ReadonlyMap<string, CountType>,
  of: PeriodToArchive,
): Promise<void> {
  const { kind } = of.series;
  const names = rowColumnNames(kind);
  // The folders have the others.
  const columns = formatColumns(kind, counts).filter(({ name }) => names.includes(name));
  const encoder = await openEncoder("parquet", columns, new Map(), { rowGroupRows: ROW_GROUP_ROWS });
  const file = await open(path, "w");
  try {
    for await (const batch of inTurns(rowsOf(of), of.signal)) await file.writeFile(encoder.encode(batch));
    await file.writeFile(encoder.end());
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What a reader of the period would get now. */
function rowsOf({ archive, columns, series, period, signal }: PeriodToArchive): AsyncIterable<ColumnBatch> {
  const { kind, ticker, part } = series;
  const query = {
    ...{ kind, tickers: [ticker], parts: part === null ? null : [part], ...boundsOfPeriod(kind, period) },
    ...{ columns: rowColumnNames(kind), line: "server" as const, signal },
  };
  return archive.columns(query, columns);
}

async function verify(path: string, of: PeriodToArchive): Promise<void> {
  const { archive, series, signal } = of;
  const written = new Rows(archive.rowsOfFile(path, { ...series, columns: rowColumnNames(series.kind) }), of);
  const stored = new Rows(inTurns(rowsOf(of), signal), of);
  try {
    for (let row = 1; ; row++) {
      const [was, is] = [await written.next(), await stored.next()];
      if (was === null && is === null) return;
      if (was?.length !== is?.length || !was!.every((value, index) => Object.is(value, is![index])))
        throw new ChangedError(`row ${row} of ${path} isn't as it is stored now`);
    }
  } finally {
    await Promise.all([written.close(), stored.close()]);
  }
}

class Rows {
  readonly #batches: AsyncIterator<ColumnBatch>;
  readonly #of: PeriodToArchive;
  #cells: ((row: number) => SeriesValue)[] = [];
  #row = 0;
  #end = 0;

  constructor(batches: AsyncIterable<ColumnBatch>, of: PeriodToArchive) {
    this.#batches = batches[Symbol.asyncIterator]();
    this.#of = of;
  }

  /** Waits only where a batch begins. */
  next(): SeriesValue[] | null | Promise<SeriesValue[] | null> {
    if (this.#row === this.#end) return this.#load();
    const row = this.#row++;
    return this.#cells.map((cell) => cell(row));
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }

  async #load(): Promise<SeriesValue[] | null> {
    const found = await this.#batches.next();
    if (found.done === true) return null;
    this.#cells = cellReaders(this.#of.series.kind, found.value);
    this.#row = 0;
    this.#end = found.value.rows;
    return this.next();
  }
}

/** Between two batches, others have their turn for as long as a batch has taken. */
async function* inTurns(
  batches: AsyncIterable<ColumnBatch>,
  signal: AbortSignal,
): AsyncGenerator<ColumnBatch> {
  let began = performance.now();
  for await (const batch of batches) {
    yield batch;
    await sleep(performance.now() - began, signal);
    signal.throwIfAborted();
    began = performance.now();
  }
}
