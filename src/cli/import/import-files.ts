/**
 * Reads files row by row into a target. Rows are stored in the order of the files; what is bad
 * stops or is left out.
 */
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
  /** null: told by the columns of the first file, for all of them. */
  kind: CsvKind | null;
  target: ImportTarget;
  batchRows: number;
  skipBad: boolean;
  progress: Progress;
  /** Ends the import: nothing new is sent. */
  signal?: AbortSignal;
  /** Called when the columns have told the kind. */
  onInferred?: (kind: CsvKind) => void;
}

export interface ImportResult {
  /** null when the import stopped before it was known. */
  kind: CsvKind | null;
  /** Rows that are stored for certain. */
  rowsStored: number;
  rowsSkipped: number;
  /** Of the first few skipped rows, `file:line: reason`. */
  skippedReasons: string[];
  /**
   * Why the import stopped early, `file:line: reason` where it was a row, or INTERRUPTED; null when
   * all is done.
   */
  stoppedBy: string | null;
}

const SKIPPED_REASONS_MAX = 5;
const ROWS_PER_PROGRESS_UPDATE = 256;

/** Never throws for what a file, a row or the target is to blame for: that is in the result. */
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
  // A source such as a pipe may never give another row, which an interrupted import must not wait
  // for.
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

/** @returns whether it came to its end, be that an early one; false where it was interrupted. */
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
  /** One for all files: rows that share a timestamp may stand in several. */
  readonly #sequence = new TickSequence();
  readonly #bytesTotal: number | null;
  /** Of the sources before the one that is read. */
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
      // Closes the file also when not all of it was read.
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
    // Counted after the row was found good: the number tells the place among the rows that are
    // sent.
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

/** A row, or a header, that is at fault: `file:line: reason`. */
class BadRowError extends Error {
  override name = "BadRowError";
}

/** Like a bad row, but leaving it out wouldn't help. */
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

/** A tick is saved with a size, be it null, and with the seq of its file if that has any. */
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
  return {
    command: "save_realtime_data",
    params: { ticker, data_type: kind, index_col: "timestamp", data },
  };
}

/** So that the message can say truly that the rows before the bad one are stored. */
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
