/** Reads files row by row into a target, in order. A bad row ends the import or is skipped. */
import {
  type ColumnPlan,
  CsvError,
  type CsvKind,
  type CsvRecord,
  isBars,
  planColumns,
  readRecord,
} from "../../market/csv.ts";
import { unlessAborted } from "../../time/within.ts";
import { INTERRUPTED } from "../interruption.ts";
import type { Progress } from "../progress.ts";
import { BatchSender } from "./batch-sender.ts";
import { AmbiguousKindError, INFERENCE_ROWS, inferKind } from "./infer-kind.ts";
import { type CsvRow, readRows } from "./rows.ts";
import { openSource, type Source, SourceError } from "./source.ts";
import { type ImportTarget, type SaveCommand, TargetError } from "./target.ts";
import { OutOfOrderError, TickSequence } from "./tick-sequence.ts";

export interface ImportRequest {
  /** Paths; `-` is standard input. */
  files: string[];
  ticker: string;
  /** null: the first file's columns tell it for all files. */
  kind: CsvKind | null;
  target: ImportTarget;
  batchRows: number;
  skipBad: boolean;
  progress: Progress;
  /** Ends the import. */
  signal?: AbortSignal;
  onInferred?: (kind: CsvKind) => void;
}

export interface ImportResult {
  /** null: the import stopped before it was known. */
  kind: CsvKind | null;
  /** Rows that are certainly stored. */
  rowsStored: number;
  rowsSkipped: number;
  /** `file:line: reason`, for the first few. */
  skippedReasons: string[];
  /** Why the import stopped early: for a row `file:line: reason`, or INTERRUPTED. */
  stoppedBy: string | null;
}

const SKIPPED_REASONS_MAX = 5;
const ROWS_PER_PROGRESS_UPDATE = 256;

/** Failures of files, rows and the target are in the result, not thrown. */
export async function importFiles(request: ImportRequest): Promise<ImportResult> {
  const { signal } = request;
  const result: ImportResult = {
    kind: request.kind,
    rowsStored: 0,
    rowsSkipped: 0,
    skippedReasons: [],
    stoppedBy: null,
  };
  const sender = new BatchSender({
    target: request.target,
    rowsMax: request.batchRows,
    toCommand: (records) => toCommand(request.ticker, result.kind, records),
  });
  const imported = importAll(request, result, sender);
  // An interrupted import can't wait for rows: a pipe may never give another.
  const isDone = await unlessAborted(imported, signal, () => false);
  if (!isDone) {
    imported.catch(() => {});
    await sender.abandon();
    result.stoppedBy = INTERRUPTED;
  }
  request.progress.end();
  result.rowsStored = sender.rowsStored;
  if (result.stoppedBy === null && result.rowsStored === 0 && result.rowsSkipped > 0) {
    result.stoppedBy = "not one row could be read";
  }
  return result;
}

/** @returns false if it was interrupted. */
async function importAll(
  request: ImportRequest,
  result: ImportResult,
  sender: BatchSender,
): Promise<boolean> {
  try {
    const sources = await Promise.all(request.files.map((file) => openSource(file)));
    const importer = new RowImporter(request, result, sender, sources);
    for (const source of sources) await importer.importSource(source);
    await sender.flush();
  } catch (error) {
    if (!isExpected(error)) throw error;
    if (request.signal?.aborted) return false;
    result.stoppedBy = error.message;
    if (!(error instanceof TargetError)) await storeRowsBefore(sender, result);
  }
  return true;
}

class RowImporter {
  readonly #request: ImportRequest;
  readonly #result: ImportResult;
  readonly #sender: BatchSender;
  /** Shared by all files, as several may have rows of one timestamp. */
  readonly #sequence = new TickSequence();
  readonly #bytesTotal: number | null;
  /** Bytes of earlier sources. */
  #bytesBefore = 0;
  #rowsSeen = 0;

  constructor(request: ImportRequest, result: ImportResult, sender: BatchSender, sources: Source[]) {
    this.#request = request;
    this.#result = result;
    this.#sender = sender;
    this.#bytesTotal = sources.reduce<number | null>(
      (sum, { bytesTotal }) => (sum === null || bytesTotal === null ? null : sum + bytesTotal),
      0,
    );
  }

  async importSource(source: Source): Promise<void> {
    const rows = readRows(source);
    try {
      const first = await rows.next();
      if (first.done) throw new SourceError(`${source.name} is empty, expected a header and rows`);
      await this.#importRows(source, first.value, rows);
    } finally {
      // Closes a file that wasn't read to its end.
      await rows.return(undefined);
      this.#bytesBefore += source.bytesRead();
    }
  }

  async #importRows(source: Source, header: CsvRow, rows: AsyncGenerator<CsvRow>): Promise<void> {
    const ahead: CsvRow[] = [];
    if (this.#result.kind === null) {
      for (let row = await rows.next(); !row.done; row = await rows.next()) {
        if (ahead.push(row.value) === INFERENCE_ROWS) break;
      }
      this.#result.kind = this.#inferKind(source, header, ahead);
    }
    const plan = blame(source, header, () => planColumns(header.fields, this.#kind()));
    for (const row of ahead) await this.#importRow(source, plan, row);
    for await (const row of rows) await this.#importRow(source, plan, row);
  }

  async #importRow(source: Source, plan: ColumnPlan, row: CsvRow): Promise<void> {
    if (this.#request.signal?.aborted) throw new StopError(INTERRUPTED);
    if (++this.#rowsSeen % ROWS_PER_PROGRESS_UPDATE === 0) this.#showProgress(source);
    let record: CsvRecord;
    try {
      record = blame(source, row, () => readRow(plan, row.fields));
    } catch (error) {
      if (!(error instanceof BadRowError) || !this.#request.skipBad) throw error;
      this.#result.rowsSkipped++;
      if (this.#result.skippedReasons.length < SKIPPED_REASONS_MAX)
        this.#result.skippedReasons.push(error.message);
      return;
    }
    // Only good rows are numbered.
    if ("timestamp" in record && record.seq === undefined) {
      const stamp = String(record.timestamp);
      record.seq = blame(source, row, () => this.#sequence.next(stamp));
    }
    await this.#sender.add(record, row.fields.join().length);
  }

  #inferKind(source: Source, header: CsvRow, rows: CsvRow[]): CsvKind {
    const kind = blame(source, header, () =>
      inferKind(
        header.fields,
        rows.map((row) => row.fields),
      ),
    );
    this.#request.onInferred?.(kind);
    return kind;
  }

  #kind(): CsvKind {
    if (this.#result.kind === null) throw new Error("the kind of the rows is not known yet");
    return this.#result.kind;
  }

  #showProgress(source: Source): void {
    this.#request.progress.update({
      rows: this.#sender.rowsStored,
      bytesRead: this.#bytesBefore + source.bytesRead(),
      bytesTotal: this.#bytesTotal,
    });
  }
}

/** A row or header is wrong: `file:line: reason`. */
class BadRowError extends Error {
  override name = "BadRowError";
}

/** Skipping the row wouldn't help. */
class StopError extends Error {
  override name = "StopError";
}

function blame<T>(source: Source, row: CsvRow, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CsvError) throw new BadRowError(`${source.name}:${row.line}: ${error.message}`);
    if (error instanceof OutOfOrderError || error instanceof AmbiguousKindError) {
      throw new StopError(`${source.name}:${row.line}: ${error.message}`);
    }
    throw error;
  }
}

/** A tick always has a size, if only null. */
function readRow(plan: ColumnPlan, fields: string[]): CsvRecord {
  const record = readRecord(plan, fields);
  if (plan.stampName === "timestamp") {
    record.size ??= null;
    if (record.seq === null) throw new CsvError('column "seq": expected a whole number from 0, got nothing');
  }
  return record;
}

function toCommand(ticker: string, kind: CsvKind | null, data: CsvRecord[]): SaveCommand {
  if (kind !== null && isBars(kind)) {
    const params = { ticker, interval: kind, index_col: kind === "daily" ? "date" : "datetime", data };
    return { command: "save_stock_data", params };
  }
  const places = data.map((record) => ("timestamp" in record ? record.seq : null) ?? null);
  const ticks = data.map(({ seq: _, ...record }: CsvRecord & { seq?: unknown }) => record);
  return {
    command: "save_realtime_data",
    params: { ticker, data_type: kind, index_col: "timestamp", data: ticks, places },
  };
}

/** The message promises that the rows before the bad one are stored. */
async function storeRowsBefore(sender: BatchSender, result: ImportResult): Promise<void> {
  try {
    await sender.flush();
  } catch (error) {
    if (!(error instanceof TargetError)) throw error;
    result.stoppedBy = `${result.stoppedBy}; and ${error.message}`;
  }
}

function isExpected(error: unknown): error is Error {
  return (
    error instanceof BadRowError ||
    error instanceof StopError ||
    error instanceof SourceError ||
    error instanceof TargetError
  );
}
