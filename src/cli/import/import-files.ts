/** Reads files row by row into a target, in order. A bad row ends the import or is skipped. */
import { CsvError, type CsvRecord, extraOf, isBars, type SourceField } from "../../market/csv.ts";
import { stampOfMicros } from "../../market/stamp-micros.ts";
import { StampReader } from "../../storage/column-values.ts";
import { kindOf } from "../../storage/model/kinds.ts";
import { turn } from "../../time/pauses.ts";
import { unlessAborted } from "../../time/within.ts";
import { INTERRUPTED } from "../interruption.ts";
import { formatCount, type Progress } from "../progress.ts";
import { BatchSender, type BatchSeries } from "./batch-sender.ts";
import { Checkpoint } from "./checkpoint.ts";
import type { SourceRow } from "./csv-rows.ts";
import { DoubtError } from "./doubt.ts";
import type { AdjustedDifference, FileActions } from "./file-actions.ts";
import { type PlainTicks, TICK_VALUES } from "./plain-ticks.ts";
import { type Prepared, type PrepareOptions, prepareFiles } from "./prepare.ts";
import type { PreparedFile } from "./prepared-file.ts";
import { isRowKind } from "./row-columns.ts";
import { type ReadRow, rowReader } from "./row-reader.ts";
import { type DuplicateRule, onDuplicateOf, toActionsCommand, toCommand } from "./save-command.ts";
import { type RowValue, Sightings } from "./sightings.ts";
import { SourceError } from "./source.ts";
import { Tally, type TickerTally } from "./tally.ts";
import { type ImportTarget, type RowCounts, TargetError } from "./target.ts";

export interface ImportRequest extends PrepareOptions {
  onDuplicate: DuplicateRule | null;
  target: ImportTarget;
  batchRows: number;
  progress: Progress;
  /** Ends the import. */
  signal?: AbortSignal;
  /** Stops before the first row is stored. */
  planOnly: boolean;
  /** Begins at the beginning, also after an interruption. */
  restart: boolean;
  /** Before the first row is stored. */
  onPlan?: (prepared: Prepared) => void;
  onResume?: (rows: number) => void;
}

export interface ImportResult {
  /** A length of bars or a type of ticks; null: it isn't known yet, or the files have several. */
  kind: string | null;
  /** Rows that were read and not left out as bad. */
  rows: number;
  stored: number;
  replaced: number;
  repeated: number;
  skipped: number;
  tickers: TickerTally[];
  /** Rows that are certainly stored. */
  rowsStored: number;
  /** Bad rows. */
  rowsSkipped: number;
  /** `file:line: reason`, for the first few. */
  skippedReasons: string[];
  /** Bars of a ticker and time that an earlier row of the files had. */
  duplicates: number;
  /** The first few. */
  duplicateBars: string[];
  /** Rows that were stored before, when an interrupted import goes on. */
  rowsBefore: number;
  /** Corporate actions that were taken from the files. */
  actions: RowCounts & { rows: number };
  /** The file's adjusted closes beside those by its actions; null: they were not compared. */
  adjustedClose: AdjustedDifference | null;
  /** Why the import stopped early: for a row `file:line: reason`, or INTERRUPTED. */
  stoppedBy: string | null;
}

const REASONS_MAX = 5;
const ROWS_PER_PROGRESS_UPDATE = 256;
const NAME_SIGNS = 6;
const STAMP_BYTES = 16;
/** Of a number of a tick; an estimate. */
const NUMBER_BYTES = 8;
/** Price and size. */
const TRADE_VALUES = 2;
/** Ends the key of ticks whose microseconds no double holds. */
const FAR_STAMPS = "\nfar";

/** Failures of files, rows and the target are in the result, not thrown. */
export async function importFiles(request: ImportRequest): Promise<ImportResult> {
  const run = new ImportRun(request);
  const imported = run.all();
  // An interrupted import can't wait for rows: a pipe may never give another.
  const isDone = await unlessAborted(imported, request.signal, () => false);
  if (!isDone) {
    imported.catch(() => {});
    await run.interrupt();
  }
  request.progress.end();
  return run.result();
}

class ImportRun {
  readonly #request: ImportRequest;
  #sender: BatchSender;
  #tally = new Tally();
  /** Shared by all files, as several may have rows of one stamp. */
  #sightings = new Sightings();
  readonly #skippedReasons: string[] = [];
  readonly #duplicateBars: string[] = [];
  readonly #stamps = new StampReader();
  #files: PreparedFile[] = [];
  #actions: FileActions | null = null;
  readonly #actionTally = new Tally();
  #checkpoint: Checkpoint | null = null;
  #importId: string = crypto.randomUUID();
  #epoch: string | null = null;
  #rowsSkipped = 0;
  #duplicates = 0;
  #stoppedBy: string | null = null;
  #bytesTotal: number | null = null;
  /** Bytes of earlier sources. */
  #bytesBefore = 0;
  /** Rows of all files so far. */
  #row = 0;
  /** An estimate for the JSON of a row of the file without its values. */
  #recordBytes = 0;
  /** Rows that an interrupted import has stored. */
  #rowsBefore = 0;
  /** Where an interrupted import was, in which database. */
  #epochBefore: string | null = null;

  constructor(request: ImportRequest) {
    this.#request = request;
    this.#sender = this.#newSender();
  }

  #newSender(): BatchSender {
    const { target, batchRows: rowsMax, onDuplicate } = this.#request;
    return new BatchSender({
      target,
      rowsMax,
      toCommand: (batch) => toCommand(batch, onDuplicate, this.#importId),
      onAnswer: ({ ticker, rows }, answer) => {
        if (this.#epochBefore !== null && answer.epoch !== this.#epochBefore) throw new OtherDatabaseError();
        this.#tally.add(ticker, rows.length, answer);
        this.#epoch = answer.epoch ?? this.#epoch;
      },
      onStoredUpTo: (rows) => this.#note(rows),
    });
  }

  /** @returns false if it was interrupted. */
  async all(): Promise<boolean> {
    const { signal, skipBad, onPlan, planOnly } = this.#request;
    try {
      const prepared = await prepareFiles(this.#request);
      this.#files = prepared.files;
      this.#checkDuplicateRule();
      if (signal?.aborted) return false;
      this.#actions = prepared.actions;
      onPlan?.(prepared);
      if (planOnly) return true;
      this.#goOn();
      await this.#saveActions();
      await this.#importAll().catch((error: Error) => this.#beginAnew(error));
      if (this.#tally.total().rows === 0 && this.#rowsSkipped > 0 && skipBad)
        throw new StopError("not one row could be read");
      this.#checkpoint?.remove();
    } catch (error) {
      if (!isExpected(error)) throw error;
      if (signal?.aborted) return false;
      this.#stoppedBy = error.message;
      if (error instanceof TargetError) this.#checkpoint?.keep();
      else {
        // The rows are wrong, not the way to the target: the next import begins anew.
        await this.#storeRowsBefore();
        this.#checkpoint?.remove();
      }
    }
    return true;
  }

  async interrupt(): Promise<void> {
    await this.#sender.abandon();
    // What follows the last answer.
    await turn();
    this.#checkpoint?.keep();
    this.#stoppedBy = INTERRUPTED;
  }

  result(): ImportResult {
    const kinds = new Set(this.#files.map(({ part }) => part));
    const total = this.#tally.total();
    return {
      kind: kinds.size === 1 ? [...kinds][0]! : kinds.size === 0 ? this.#request.kind : null,
      ...total,
      tickers: this.#tally.tickers(),
      rowsStored: total.rows,
      rowsSkipped: this.#rowsSkipped,
      skippedReasons: this.#skippedReasons,
      duplicates: this.#duplicates,
      duplicateBars: this.#duplicateBars,
      rowsBefore: this.#rowsBefore,
      actions: this.#actionTally.total(),
      adjustedClose: this.#actions?.difference ?? null,
      stoppedBy: this.#stoppedBy,
    };
  }

  /** Before the bars, whose prices are of no use without them. */
  async #saveActions(): Promise<void> {
    for (const { ticker, actions } of this.#actions?.actions() ?? []) {
      if (this.#request.signal?.aborted) throw new StopError(INTERRUPTED);
      const command = toActionsCommand(ticker, actions, this.#request.onDuplicate);
      const answer = await this.#request.target.save(command);
      this.#actionTally.add(ticker, actions.length, answer);
    }
  }

  async #importAll(): Promise<void> {
    this.#bytesTotal = this.#files.reduce<number | null>(
      (sum, { source }) => (sum === null || source.bytesTotal === null ? null : sum + source.bytesTotal),
      0,
    );
    for (const file of this.#files) {
      await this.#importFile(file);
      this.#bytesBefore += file.source.bytesRead();
    }
    await this.#sender.flush();
  }

  /** Finds out whether an import of the same files was interrupted. */
  #goOn(): void {
    const { target, restart, onResume, onDuplicate } = this.#request;
    const versions = this.#files.map(({ source }) => source.version);
    // What is sent again is added again where the target doesn't know its requests.
    const isAgainAdded = onDuplicate === "append" && !target.knowsRequests;
    if (versions.includes(null) || isAgainAdded) return;
    this.#checkpoint = new Checkpoint([target.name, versions, whatAndHow(this.#request)]);
    const reached = restart ? null : this.#checkpoint.read();
    if (reached === null) {
      // Before the first request: its answer may never come, and only its name tells it later.
      if (onDuplicate === "append") this.#checkpoint.note({ rows: 0, epoch: null, importId: this.#importId });
      return;
    }
    this.#rowsBefore = reached.rows;
    this.#epochBefore = reached.epoch;
    this.#importId = reached.importId;
    if (reached.rows > 0) onResume?.(reached.rows);
  }

  /** The rows that were stored before are in another database: they are missing in this one. */
  async #beginAnew(error: Error): Promise<void> {
    if (!(error instanceof OtherDatabaseError)) throw error;
    await this.#sender.abandon();
    this.#sender = this.#newSender();
    this.#tally = new Tally();
    this.#sightings = new Sightings();
    this.#skippedReasons.length = 0;
    this.#duplicateBars.length = 0;
    this.#rowsSkipped = 0;
    this.#duplicates = 0;
    this.#row = 0;
    this.#rowsBefore = 0;
    this.#epochBefore = null;
    this.#bytesBefore = 0;
    await this.#importAll();
  }

  #note(rows: number): void {
    if (this.#epoch === null) return;
    this.#checkpoint?.note({ rows, epoch: this.#epoch, importId: this.#importId });
  }

  async #importFile(file: PreparedFile): Promise<void> {
    const { onDuplicate } = this.#request;
    const read = this.#actions?.reader(file, rowReader(file)) ?? rowReader(file);
    this.#recordBytes = recordBytes(file);
    // Only where equal ticks are counted: a place within the stamp is no count of equal ones.
    const isCounted = onDuplicate !== "append" && onDuplicate !== "replace";
    for await (const piece of isCounted ? file.pieces() : file.rows()) {
      if (!Array.isArray(piece)) {
        await this.#importPlain(file, piece);
        continue;
      }
      for (const row of piece) {
        if (this.#row % ROWS_PER_PROGRESS_UPDATE === 0) this.#betweenRows(file);
        this.#row++;
        const waiting = this.#importRow(file, read, row);
        if (waiting !== null) await waiting;
      }
    }
  }

  /** Rows of one ticker and type. */
  async #importPlain(file: PreparedFile, ticks: PlainTicks): Promise<void> {
    const { rows, micros, values, firstLine } = ticks;
    const [ticker, part] = [file.ticker!, file.part!];
    const series = { ticker, part, isBars: false, rowKind: null, isPlaced: false };
    const key = seriesKey(ticker, part);
    const bytes = this.#recordBytes + values.length * NUMBER_BYTES;
    const compared: RowValue[] = Array(part === "trade" ? TRADE_VALUES : TICK_VALUES.length);
    for (let index = 0; index < rows; index++) {
      if (this.#row % ROWS_PER_PROGRESS_UPDATE === 0) this.#betweenRows(file);
      this.#row++;
      for (let i = 0; i < compared.length; i++) compared[i] = values[i]?.[index];
      const line = firstLine + index;
      const place = this.#sightings.equalBefore(key, micros[index]!, compared);
      if (place === null) throw this.#outOfOrder(file, line, stampOfMicros(micros[index]!));
      if (this.#row <= this.#rowsBefore) continue;
      const origin = { file, line, row: this.#row };
      const waiting = this.#sender.addPlain(series, ticks, index, place, bytes, origin);
      if (waiting !== null) await waiting;
    }
  }

  #betweenRows({ source }: PreparedFile): void {
    if (this.#request.signal?.aborted) throw new StopError(INTERRUPTED);
    this.#request.progress.update({
      rows: this.#tally.total().rows,
      bytesRead: this.#bytesBefore + source.bytesRead(),
      bytesTotal: this.#bytesTotal,
    });
  }

  #importRow(file: PreparedFile, read: (row: SourceRow) => ReadRow, row: SourceRow): Promise<void> | null {
    let found: ReadRow;
    try {
      found = read(row);
    } catch (error) {
      if (!(error instanceof CsvError)) throw error;
      return this.#skip(`${file.where(row.line)}: ${error.message}`);
    }
    const { ticker, part, record } = found;
    const { kind, plan } = file.layout;
    if (isRowKind(kind)) {
      const series = { ticker, part, isBars: false, rowKind: kind, isPlaced: false };
      return this.#add(file, series, record, null, row);
    }
    const stamp = String(record[plan.stampName]);
    if (!isBars(kind)) return this.#addTick(file, row, found, stamp);
    const series = { ticker, part, isBars: true, rowKind: null, isPlaced: false };
    const before = this.#sightings.rowsBefore(seriesKey(ticker, part), stamp);
    if (before === null || before === 0) return this.#add(file, series, record, 0, row);
    this.#duplicates++;
    if (this.#duplicateBars.length < REASONS_MAX)
      this.#duplicateBars.push(`${ticker} ${stamp} (${file.where(row.line)})`);
    return this.#addDuplicate(file, series, record, row);
  }

  #add(
    file: PreparedFile,
    series: BatchSeries,
    record: CsvRecord,
    place: number | null,
    row: SourceRow,
  ): Promise<void> | null {
    if (this.#row <= this.#rowsBefore) return null;
    const origin = { file, line: row.line, row: this.#row };
    return this.#sender.add(series, record, place, this.#recordBytes + lengthOf(row), origin);
  }

  /** In a request of its own, so that the target sees which came first. */
  async #addDuplicate(
    file: PreparedFile,
    series: BatchSeries,
    record: CsvRecord,
    row: SourceRow,
  ): Promise<void> {
    if (this.#row > this.#rowsBefore) await this.#sender.sendSeries(series);
    await this.#add(file, series, record, 0, row);
  }

  #addTick(file: PreparedFile, row: SourceRow, { ticker, part, record, place }: ReadRow, stamp: string) {
    const isPlaced = place !== null || this.#request.onDuplicate === "replace";
    const series = { ticker, part, isBars: false, rowKind: null, isPlaced };
    return this.#add(file, series, record, place ?? this.#placeOfTick(file, row, series, stamp, record), row);
  }

  /** How many equal ticks came before, or where ticks are replaced how many of the stamp. */
  #placeOfTick(
    file: PreparedFile,
    row: SourceRow,
    series: BatchSeries,
    stamp: string,
    record: CsvRecord,
  ): number | null {
    const { ticker, part, isPlaced } = series;
    if (this.#request.onDuplicate === "append" || record.id !== undefined) return null;
    const micros = this.#stamps.micros(stamp);
    const isExact = Number.isSafeInteger(micros);
    const key = seriesKey(ticker, part) + (isExact ? "" : FAR_STAMPS);
    const at = isExact ? micros : stamp;
    const place = isPlaced
      ? this.#sightings.rowsBefore(key, at)
      : this.#sightings.equalBefore(key, at, valuesOf(file, row, part, record));
    if (place === null) throw this.#outOfOrder(file, row.line, stamp);
    return place;
  }

  #outOfOrder(file: PreparedFile, line: number, stamp: string): StopError {
    const { windowMax } = this.#sightings;
    return new StopError(
      `${file.where(line)}: timestamp ${stamp} is more than ${formatCount(windowMax)} ticks ` +
        "away from its place in time order: sort the rows, or pass the files, by time",
    );
  }

  #skip(reason: string): null {
    if (!this.#request.skipBad) throw new BadRowError(reason);
    this.#rowsSkipped++;
    if (this.#skippedReasons.length < REASONS_MAX) this.#skippedReasons.push(reason);
    return null;
  }

  #checkDuplicateRule(): void {
    const { onDuplicate } = this.#request;
    if (onDuplicate === null) return;
    for (const { layout, source } of this.#files) {
      const known = onDuplicateOf(layout.kind);
      if (known.includes(onDuplicate)) continue;
      const what = isRowKind(layout.kind)
        ? kindOf(layout.kind).label
        : isBars(layout.kind)
          ? "bars"
          : "ticks";
      throw new DoubtError(
        `${source.name}: --on-duplicate ${onDuplicate} is not for ${what}: expected ${known.join(", ")}`,
      );
    }
  }

  /** The message promises that the rows before the bad one are stored. */
  async #storeRowsBefore(): Promise<void> {
    try {
      await this.#sender.flush();
    } catch (error) {
      if (!(error instanceof TargetError)) throw error;
      this.#stoppedBy = `${this.#stoppedBy}; and ${error.message}`;
    }
  }
}

/** What decides which rows are read, how, and in which requests they go. */
function whatAndHow(request: ImportRequest): unknown[] {
  const { ticker, tickerFrom, tickerColumn, kind, columns, drop, noHeader, columnNames, skipLines } = request;
  const { separator, encoding, zone, dateOrder, epoch, decimal, scale, onDuplicate, batchRows, actions } =
    request;
  return [
    ...[ticker, tickerFrom?.text, tickerColumn, kind, columns, drop, noHeader, columnNames, skipLines],
    ...[separator, encoding, zone?.name, dateOrder, epoch, decimal, scale, onDuplicate, batchRows, actions],
  ];
}

/** A row is wrong: `file:line: reason`. */
class BadRowError extends Error {
  override name = "BadRowError";
}

/** Skipping the row wouldn't help. */
class StopError extends Error {
  override name = "StopError";
}

/** What an interrupted import has stored is in another database than the one that answers. */
class OtherDatabaseError extends Error {
  override name = "OtherDatabaseError";
}

/** Trades are the most. */
function seriesKey(ticker: string, part: string): string {
  return part === "trade" ? ticker : `${ticker}\n${part}`;
}

/** What tells ticks of one stamp apart that have no id: as a server compares them. */
function valuesOf(
  { layout }: PreparedFile,
  { more }: SourceRow,
  part: string,
  record: CsvRecord,
): RowValue[] {
  const { price, size, ask_price, ask_size } = record;
  const known = part === "trade" ? [price, size] : [price, size, ask_price, ask_size];
  const values = known as RowValue[];
  const extra = extraOf(record);
  for (const { name } of layout.plan.extras) values.push(comparable(extra[name]));
  if (more !== undefined) values.push(JSON.stringify(more));
  return values;
}

function comparable(value: SourceField | undefined): RowValue {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

/** Names with quotes, colon and comma; a stamp, which may be longer than it is in the file. */
function recordBytes({ layout }: PreparedFile): number {
  const { numbers, extras, stampName, id } = layout.plan;
  const names = [
    stampName,
    ...(id === null ? [] : ["id"]),
    ...numbers.map(({ name }) => name),
    ...extras.map(({ name }) => name),
  ];
  return names.reduce((sum, name) => sum + name.length + NAME_SIGNS, STAMP_BYTES);
}

function lengthOf({ fields }: SourceRow): number {
  let length = fields.length;
  for (const field of fields) length += typeof field === "string" ? field.length : 8;
  return length;
}

function isExpected(error: unknown): error is Error {
  return [BadRowError, StopError, SourceError, DoubtError, TargetError].some((type) => error instanceof type);
}
