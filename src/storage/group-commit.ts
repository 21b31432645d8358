/**
 * Saves of one process to a database that it writes itself: what arrives while a commit is under way goes together in the next.
 */
import { unavailable } from "../protocol/errors.ts";
import { type Save, type SaveOutcome, type StockWriter, StorageBusyError } from "./contract.ts";

/** Request bodies of saves that are not committed yet; beyond it a save gets 503. */
const WAITING_BYTES_MAX = 256 * 1024 * 1024;
/** Rows in one transaction; a single save is never split. */
const TRANSACTION_ROWS_MAX = 20_000;

interface Waiting {
  save: Save;
  bytes: number;
  resolve(outcome: SaveOutcome): void;
  reject(error: unknown): void;
}

export class GroupCommit {
  readonly #writer: Pick<StockWriter, "commit">;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | null = null;

  constructor(writer: Pick<StockWriter, "commit">) {
    this.#writer = writer;
  }

  /**
   * @param bytes size of the request, for the bound.
   * @throws RequestError 503 too much is waiting, or the database is away; with the latter the save may be repeated.
   */
  save(save: Save, bytes: number): Promise<SaveOutcome> {
    if (this.#waitingBytes + bytes > WAITING_BYTES_MAX && this.#waiting.length > 0) {
      throw unavailable(
        `save: ${this.#waitingBytes} bytes of saves wait for the database already; try again`,
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<SaveOutcome>();
    this.#waiting.push({ save, bytes, resolve, reject });
    this.#waitingBytes += bytes;
    this.#running ??= this.#run();
    return promise;
  }

  /** Resolves when everything accepted is committed or refused. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #run(): Promise<void> {
    // What else this turn of the event loop brings goes into the first commit.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) await this.#commit(this.#takeBatch());
    this.#running = null;
  }

  async #commit(batch: Waiting[]): Promise<void> {
    let left: Waiting[] = [];
    try {
      const outcomes = await this.#writer.commit(batch.map(({ save }) => save));
      left = batch.filter((_, index) => outcomes[index] == null);
      for (const [index, waiting] of batch.entries()) {
        const outcome = outcomes[index];
        if (outcome != null) waiting.resolve(outcome);
      }
      this.#waiting.unshift(...left);
    } catch (error) {
      const reason =
        error instanceof StorageBusyError
          ? unavailable("save: the database is locked", error.message)
          : error;
      for (const waiting of batch) waiting.reject(reason);
    } finally {
      for (const waiting of batch) if (!left.includes(waiting)) this.#waitingBytes -= waiting.bytes;
    }
  }

  #takeBatch(): Waiting[] {
    let rows = 0;
    let count = 0;
    while (count < this.#waiting.length) {
      rows += this.#waiting[count]!.save.rows.length;
      if (count > 0 && rows > TRANSACTION_ROWS_MAX) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }
}
