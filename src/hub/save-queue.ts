/** Saves of all workers in order of arrival, committed one batch after the other: what comes during a commit goes together in the next. */
import { messageOf } from "../protocol/message-of.ts";
import { type SaveOutcome, type StockWriter, StorageBusyError } from "../storage/contract.ts";
import { databaseRefuses } from "../storage/save-refusals.ts";
import type { DatabaseWatch } from "./database-watch.ts";
import type { SaveEntry } from "./messages.ts";
import type { WorkerLink } from "./worker-links.ts";

/** Rows in one transaction, so that a flood of large saves doesn't make each wait for all. A single save is never split. */
const TRANSACTION_ROWS_MAX = 20_000;
/** How long saves wait for a foreign program that holds the write lock, and how often the hub tries again. */
const BUSY_WAIT_MAX_MS = 5_000;
const BUSY_RETRY_MS = 50;

export interface QueuedSave {
  link: WorkerLink;
  entry: SaveEntry;
}

export interface CommittedSave {
  queued: QueuedSave;
  outcome: SaveOutcome;
}

export interface SaveQueueOptions {
  /** Null when workers commit for themselves: then there are no saves here. */
  writer: StockWriter | null;
  beforeCommit(): void;
  /** In order of commit; those that the database refused as well. */
  committed(saves: CommittedSave[]): void;
  /** Between two commits; the next begins when it returns, unless it is held up. */
  paused(): void;
  isHeldUp(): boolean;
  watch: Pick<DatabaseWatch, "failed" | "succeeded">;
}

export class SaveQueue {
  readonly #options: SaveQueueOptions;
  #queue: QueuedSave[] = [];
  #isScheduled = false;
  #committing: Promise<void> | null = null;
  #busySince: number | null = null;
  #stopping = false;

  constructor(options: SaveQueueOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#committing === null;
  }

  /** It is committed some time after `schedule`. */
  push(save: QueuedSave): void {
    this.#queue.push(save);
  }

  schedule(): void {
    if (this.#isScheduled || !this.#canCommit()) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#start();
    });
  }

  /** Resolves when all that has come is committed, or refused. */
  async drain(): Promise<void> {
    this.#stopping = true;
    while (!this.isIdle) {
      this.#start();
      await this.#committing;
    }
  }

  #canCommit(): boolean {
    return this.#committing === null && this.#queue.length > 0 && !this.#options.isHeldUp();
  }

  #start(): void {
    if (!this.#canCommit()) return;
    this.#committing = this.#commit().finally(() => {
      this.#committing = null;
      this.#options.paused();
      this.schedule();
    });
  }

  async #commit(): Promise<void> {
    const { writer, watch } = this.#options;
    if (writer === null) throw new Error("a save came to a hub without a writer");
    const batch = this.#takeBatch();
    this.#options.beforeCommit();
    let outcomes: (SaveOutcome | null)[];
    try {
      const committed = writer.commit(batch.map(({ entry }) => entry[1]));
      // A driver that commits at once is not made to wait a turn.
      outcomes = committed instanceof Promise ? await committed : committed;
      this.#busySince = null;
    } catch (error) {
      if (error instanceof StorageBusyError && !this.#stopping) {
        this.#busySince ??= performance.now();
        if (performance.now() - this.#busySince < BUSY_WAIT_MAX_MS) {
          this.#queue = [...batch, ...this.#queue];
          await Bun.sleep(BUSY_RETRY_MS);
          return;
        }
      }
      // The transaction as a whole failed (disk full, database locked by a foreign program): nothing is stored.
      const details = messageOf(error);
      outcomes = batch.map(() => databaseRefuses(details));
    }
    const refused = outcomes.filter((outcome) => outcome !== null && !outcome.ok && outcome.status >= 500);
    const [first] = refused as { details?: string; error: string }[];
    if (first === undefined) watch.succeeded();
    else watch.failed(refused.length, first.details ?? first.error);
    const done: CommittedSave[] = [];
    const left: QueuedSave[] = [];
    for (const [index, queued] of batch.entries()) {
      const outcome = outcomes[index] ?? null;
      if (outcome === null) left.push(queued);
      else done.push({ queued, outcome });
    }
    if (left.length > 0) this.#queue = [...left, ...this.#queue];
    this.#options.committed(done);
  }

  #takeBatch(): QueuedSave[] {
    const queue = this.#queue;
    let rows = 0;
    let count = 0;
    while (
      count < queue.length &&
      (count === 0 || rows + queue[count]!.entry[1].rows.length <= TRANSACTION_ROWS_MAX)
    ) {
      rows += queue[count++]!.entry[1].rows.length;
    }
    if (count < queue.length) return queue.splice(0, count);
    this.#queue = [];
    return queue;
  }
}
