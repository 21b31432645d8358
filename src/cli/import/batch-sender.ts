/**
 * Gathers records into requests and sends them one after another: rows of one key, and ticks of one
 * stamp, must keep their order. The next batch fills while one is under way.
 */
import type { CsvRecord } from "../../market/csv.ts";
import type { ImportTarget, SaveCommand } from "./target.ts";

export interface BatchSenderOptions {
  target: ImportTarget;
  rowsMax: number;
  toCommand(records: CsvRecord[]): SaveCommand;
}

/** Half of a server's smallest body limit: the size is only estimated. */
const BATCH_BYTES_MAX = 512 * 1024;
/** A high estimate for the names, quotes and commas of a record. */
const RECORD_OVERHEAD_BYTES = 120;

export class BatchSender {
  rowsStored = 0;
  readonly #options: BatchSenderOptions;
  #records: CsvRecord[] = [];
  #bytes = 0;
  #abandoned = false;
  /** The batch under way: resolves with null, or with its failure. */
  #underWay: Promise<Error | null> = Promise.resolve(null);

  constructor(options: BatchSenderOptions) {
    this.#options = options;
  }

  /**
   * Waits only if the batch is full and the previous one is still under way.
   *
   * @param chars length of the record's values.
   * @throws TargetError the previous batch wasn't stored.
   */
  async add(record: CsvRecord, chars: number): Promise<void> {
    this.#records.push(record);
    this.#bytes += chars + RECORD_OVERHEAD_BYTES;
    if (this.#records.length >= this.#options.rowsMax || this.#bytes >= BATCH_BYTES_MAX) await this.#send();
  }

  /** Resolves when every record is stored. @throws TargetError */
  async flush(): Promise<void> {
    if (this.#records.length > 0) await this.#send();
    await this.#settle();
  }

  /** Sends nothing more. Resolves when the batch under way has ended. */
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
