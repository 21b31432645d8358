/**
 * Gathers records into requests and sends them one after another, in order: a later row of the same
 * key must come later, and a tick's place among its equals depends on it. The next batch fills
 * while one is under way.
 */
import type { CsvRecord } from "../../market/csv.ts";
import type { ImportTarget, SaveCommand } from "./target.ts";

export interface BatchSenderOptions {
  target: ImportTarget;
  rowsMax: number;
  toCommand(records: CsvRecord[]): SaveCommand;
}

/**
 * Half of the smallest body limit that a server can be given (1 MB), as an estimate below is not
 * exact.
 */
const BATCH_BYTES_MAX = 512 * 1024;
/** Names, quotes and commas of a record in JSON, generously. */
const RECORD_OVERHEAD_BYTES = 120;

export class BatchSender {
  /** Rows whose save was answered. */
  rowsStored = 0;
  readonly #options: BatchSenderOptions;
  #records: CsvRecord[] = [];
  #bytes = 0;
  #abandoned = false;
  /** Of the batch under way: null when it is stored, else why not. Never rejects. */
  #underWay: Promise<Error | null> = Promise.resolve(null);

  constructor(options: BatchSenderOptions) {
    this.#options = options;
  }

  /**
   * Waits only when a batch is full and the one before it is still under way.
   *
   * @param chars Of the record's values.
   * @throws TargetError The batch before could not be stored.
   */
  async add(record: CsvRecord, chars: number): Promise<void> {
    this.#records.push(record);
    this.#bytes += chars + RECORD_OVERHEAD_BYTES;
    if (this.#records.length >= this.#options.rowsMax || this.#bytes >= BATCH_BYTES_MAX) await this.#send();
  }

  /** Returns when everything added is stored. @throws TargetError */
  async flush(): Promise<void> {
    if (this.#records.length > 0) await this.#send();
    await this.#settle();
  }

  /** Returns when the batch under way, if any, is stored or not; nothing is sent any more. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    await this.#underWay;
  }

  async #send(): Promise<void> {
    await this.#settle();
    if (this.#abandoned) return;
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    this.#underWay = this.#options.target.save(this.#options.toCommand(records)).then(
      () => {
        this.rowsStored += records.length;
        return null;
      },
      (error: Error) => error,
    );
  }

  async #settle(): Promise<void> {
    const failure = await this.#underWay;
    if (failure !== null) throw failure;
  }
}
