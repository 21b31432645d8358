/**
 * Gathers records into requests, each of one ticker, and sends them. The requests of a ticker go
 * one after another: rows of one key, and ticks of one stamp, must keep their order. Those of
 * several tickers are under way at once, and all fill while others are.
 */
import type { CsvRecord } from "../../market/csv.ts";
import type { PlainTicks } from "./plain-ticks.ts";
import type { RowKindName } from "./row-columns.ts";
import { type ImportTarget, type SaveAnswer, type SaveCommand, TargetError } from "./target.ts";
import { COLUMN_ROWS_MIN, RequestRows } from "./tick-rows.ts";

/** What goes into one request. */
export interface BatchSeries {
  ticker: string;
  isBars: boolean;
  /** Of rows that are neither bars nor ticks; null: of others. */
  rowKind: RowKindName | null;
  /** The type of ticks, or the length of bars. */
  part: string;
  /** Whether `ImportBatch.places` are numbers within a stamp, and not counts of equal ticks. */
  isPlaced: boolean;
}

/** For messages: where a row of it stands. */
interface RowFile {
  where(line: number): string;
}

export interface RowOrigin {
  file: RowFile;
  line: number;
  /** Its place in the whole import, from 1. */
  row: number;
}

/** Where the rows of a request stand. */
class RowOrigins {
  readonly #files: { file: RowFile; from: number }[] = [];
  readonly #lines: number[] = [];

  get length(): number {
    return this.#lines.length;
  }

  add(file: RowFile, line: number): void {
    if (this.#files.at(-1)?.file !== file) this.#files.push({ file, from: this.#lines.length });
    this.#lines.push(line);
  }

  /** Undefined: there is no such row. */
  at(index: number): string | undefined {
    const line = this.#lines.at(index);
    const row = index < 0 ? this.#lines.length + index : index;
    return line === undefined ? undefined : this.#files.findLast(({ from }) => from <= row)!.file.where(line);
  }
}

export interface ImportBatch extends BatchSeries {
  rows: RequestRows;
  /** Of ticks: how many came before, as `Sightings` counts them, or the number within the stamp. */
  places: (number | null)[];
  origins: RowOrigins;
  /** The place of its first row in the whole import, from 1. */
  firstRow: number;
  bytes: number;
}

export interface BatchSenderOptions {
  target: ImportTarget;
  rowsMax: number;
  toCommand(batch: ImportBatch): SaveCommand;
  onAnswer(batch: ImportBatch, answer: SaveAnswer): void;
  /** All rows up to that one are stored. */
  onStoredUpTo(row: number): void;
}

/** Less than a server's smallest body limit: the size is only estimated. */
const BATCH_BYTES_MAX = 768 * 1024;
/** Each is as large; a server that doesn't take so much gets them one by one. */
const PARTS_MAX = 10;
/** Rows that wait, of all tickers together. */
const WAITING_ROWS_MAX = 300_000;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** Requests of different tickers. */
const PARALLEL_MAX = 4;

interface WaitingBatch extends ImportBatch {
  key: string;
}

export class BatchSender {
  readonly #options: BatchSenderOptions;
  /** Rows to a request, where they are columns. */
  readonly #columnRowsMax: number;
  readonly #waiting = new Map<string, WaitingBatch>();
  #rows = 0;
  #bytes = 0;
  #lastRow = 0;
  #last: WaitingBatch | null = null;
  #abandoned = false;
  #failure: Error | null = null;
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(options: BatchSenderOptions) {
    const { rowsMax, target } = options;
    this.#options = options;
    this.#columnRowsMax = target.takesParts && rowsMax >= COLUMN_ROWS_MIN ? rowsMax * PARTS_MAX : rowsMax;
  }

  /**
   * @param bytes An estimate of the record's JSON.
   * @returns a promise when it has to wait for requests. @throws TargetError Rows weren't stored.
   */
  add(
    series: BatchSeries,
    record: CsvRecord,
    place: number | null,
    bytes: number,
    origin: RowOrigin,
  ): Promise<void> | null {
    const batch = this.#batchOf(series, origin.row);
    const asRecords = batch.bytes + bytes <= BATCH_BYTES_MAX;
    if (batch.rows.push(record, place, asRecords)) return this.#added(batch, place, bytes, origin);
    return this.#send(batch.key).then(async () => {
      await this.add(series, record, place, bytes, origin);
    });
  }

  /** As `add`, for a row of columns. */
  addPlain(
    series: BatchSeries,
    ticks: PlainTicks,
    index: number,
    place: number | null,
    bytes: number,
    origin: RowOrigin,
  ): Promise<void> | null {
    const batch = this.#batchOf(series, origin.row);
    const asRecords = batch.bytes + bytes <= BATCH_BYTES_MAX;
    if (batch.rows.pushPlain(ticks, index, place, asRecords)) return this.#added(batch, place, bytes, origin);
    return this.#send(batch.key).then(async () => {
      await this.addPlain(series, ticks, index, place, bytes, origin);
    });
  }

  #added(
    batch: WaitingBatch,
    place: number | null,
    bytes: number,
    { file, line, row }: RowOrigin,
  ): Promise<void> | null {
    batch.places.push(place);
    batch.origins.add(file, line);
    batch.bytes += bytes;
    this.#rows++;
    this.#bytes += bytes;
    this.#lastRow = row;
    const isFull = batch.rows.areColumns
      ? batch.rows.length >= this.#columnRowsMax
      : batch.rows.length >= this.#options.rowsMax || batch.bytes >= BATCH_BYTES_MAX;
    if (isFull) return this.#send(batch.key);
    if (this.#rows >= WAITING_ROWS_MAX || this.#bytes >= WAITING_BYTES_MAX) return this.#sendAll();
    return null;
  }

  /** Sends the rows of a series that wait: a request must not have two rows of one key. */
  async sendSeries(series: BatchSeries): Promise<void> {
    const key = keyOf(series);
    if (this.#waiting.has(key)) await this.#send(key);
  }

  /** Resolves when every record is stored. @throws TargetError */
  async flush(): Promise<void> {
    await this.#sendAll();
    await Promise.all(this.#underWay.values());
    this.#throwFailure();
  }

  /** Sends nothing more. Resolves when the requests under way have ended. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    await Promise.all(this.#underWay.values());
  }

  #batchOf(series: BatchSeries, firstRow: number): WaitingBatch {
    const last = this.#last;
    if (last !== null && isSame(last, series)) return last;
    const key = keyOf(series);
    let batch = this.#waiting.get(key);
    if (batch === undefined) {
      batch = {
        ...series,
        key,
        rows: new RequestRows(!series.isBars && series.rowKind === null, {
          rows: this.#options.rowsMax,
          bytes: BATCH_BYTES_MAX,
        }),
        places: [],
        origins: new RowOrigins(),
        firstRow,
        bytes: 0,
      };
      this.#waiting.set(key, batch);
    }
    this.#last = batch;
    return batch;
  }

  async #sendAll(): Promise<void> {
    for (const key of [...this.#waiting.keys()]) await this.#send(key);
  }

  async #send(key: string): Promise<void> {
    const batch = this.#waiting.get(key)!;
    this.#waiting.delete(key);
    this.#last = null;
    this.#rows -= batch.rows.length;
    this.#bytes -= batch.bytes;
    const isLastWaiting = this.#waiting.size === 0;
    const lastRow = this.#lastRow;
    await this.#underWay.get(key);
    while (this.#underWay.size >= PARALLEL_MAX) await Promise.race(this.#underWay.values());
    this.#throwFailure();
    if (this.#abandoned) return;
    const sent = this.#save(batch).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, sent);
    // Nothing waits: once these requests are answered, all rows so far are stored.
    if (isLastWaiting) this.#tellWhenStored([...this.#underWay.values()], lastRow);
  }

  /** Keeps its failure for the next who asks. */
  async #save(batch: ImportBatch): Promise<void> {
    try {
      const answer = await this.#options.target.save(this.#options.toCommand(batch));
      this.#options.onAnswer(batch, answer);
    } catch (error) {
      this.#failure ??= located(batch, error as Error);
    }
  }

  #tellWhenStored(underWay: Promise<void>[], row: number): void {
    void Promise.all(underWay).then(() => {
      if (this.#failure === null) this.#options.onStoredUpTo(row);
    });
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}

const REFUSED_RECORD = /\bdata\[(\d+)\]/;

/** Says which row the target refuses, and what that means for the others of its request. */
function located({ origins }: ImportBatch, error: Error): Error {
  if (!(error instanceof TargetError)) return error;
  const index = REFUSED_RECORD.exec(error.message)?.[1];
  const refused = index === undefined ? undefined : origins.at(Number(index));
  if (refused === undefined) return error;
  const { length } = origins;
  const others =
    length === 1
      ? ""
      : `; none of the ${length} rows of its request, ${origins.at(0)} to ${origins.at(-1)}, is stored`;
  return new TargetError(`${refused}: ${error.message}${others}`, { cause: error });
}

function keyOf({ ticker, isBars, rowKind, part, isPlaced }: BatchSeries): string {
  return `${isBars} ${rowKind}\n${isPlaced}\n${part}\n${ticker}`;
}

function isSame(a: BatchSeries, b: BatchSeries): boolean {
  return (
    a.ticker === b.ticker &&
    a.part === b.part &&
    a.isBars === b.isBars &&
    a.rowKind === b.rowKind &&
    a.isPlaced === b.isPlaced
  );
}
