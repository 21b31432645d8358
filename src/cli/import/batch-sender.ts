/**
 * Gathers records into requests, each of one ticker, and sends them. The requests of a ticker go one
 * after another: rows of one key, and ticks of one stamp, must keep their order. Those of several
 * tickers are under way at once, and all fill while others are.
 */
import type { CsvKind, CsvRecord } from "../../market/csv.ts";
import type { ImportTarget, SaveAnswer, SaveCommand } from "./target.ts";

export interface Batch {
  ticker: string;
  kind: CsvKind;
  records: CsvRecord[];
  /** Of ticks: how many before, as `Sightings` counts them. */
  places: number[];
  /** The place of its first row in the whole import, from 1. */
  firstRow: number;
  bytes: number;
}

export interface BatchSenderOptions {
  target: ImportTarget;
  rowsMax: number;
  toCommand(batch: Batch): SaveCommand;
  onAnswer(batch: Batch, answer: SaveAnswer): void;
  /** All rows up to that one are stored. */
  onStoredUpTo(row: number): void;
}

/** Half of a server's smallest body limit: the size is only estimated. */
const BATCH_BYTES_MAX = 512 * 1024;
/** A high estimate for the names, quotes and commas of a record. */
const RECORD_OVERHEAD_BYTES = 120;
/** Rows that wait, of all tickers together. */
const WAITING_ROWS_MAX = 100_000;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** Requests of different tickers. */
const PARALLEL_MAX = 4;

export class BatchSender {
  readonly #options: BatchSenderOptions;
  readonly #waiting = new Map<string, Batch>();
  #rows = 0;
  #bytes = 0;
  #lastRow = 0;
  #last: { key: string; batch: Batch } | null = null;
  #abandoned = false;
  #failure: Error | null = null;
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(options: BatchSenderOptions) {
    this.#options = options;
  }

  /**
   * @param chars Length of the record's values.
   * @param row Its place in the whole import.
   * @returns a promise when it has to wait for requests. @throws TargetError Rows weren't stored.
   */
  add(
    kind: CsvKind,
    ticker: string,
    record: CsvRecord,
    place: number,
    chars: number,
    row: number,
  ): Promise<void> | null {
    const key = `${kind}\n${ticker}`;
    const batch = this.#batchOf(key, kind, ticker, row);
    batch.records.push(record);
    batch.places.push(place);
    const bytes = chars + RECORD_OVERHEAD_BYTES;
    batch.bytes += bytes;
    this.#rows++;
    this.#bytes += bytes;
    this.#lastRow = row;
    if (batch.records.length >= this.#options.rowsMax || batch.bytes >= BATCH_BYTES_MAX)
      return this.#send(key);
    if (this.#rows >= WAITING_ROWS_MAX || this.#bytes >= WAITING_BYTES_MAX) return this.#sendAll();
    return null;
  }

  /** Sends the rows of a ticker that wait: a request must not have two rows of one key. */
  async sendTicker(kind: CsvKind, ticker: string): Promise<void> {
    const key = `${kind}\n${ticker}`;
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

  #batchOf(key: string, kind: CsvKind, ticker: string, firstRow: number): Batch {
    if (this.#last?.key === key) return this.#last.batch;
    let batch = this.#waiting.get(key);
    if (batch === undefined) {
      batch = { ticker, kind, records: [], places: [], firstRow, bytes: 0 };
      this.#waiting.set(key, batch);
    }
    this.#last = { key, batch };
    return batch;
  }

  async #sendAll(): Promise<void> {
    for (const key of [...this.#waiting.keys()]) await this.#send(key);
  }

  async #send(key: string): Promise<void> {
    const batch = this.#waiting.get(key)!;
    this.#waiting.delete(key);
    this.#last = null;
    this.#rows -= batch.records.length;
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
  async #save(batch: Batch): Promise<void> {
    try {
      const answer = await this.#options.target.save(this.#options.toCommand(batch));
      this.#options.onAnswer(batch, answer);
    } catch (error) {
      this.#failure ??= error as Error;
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
