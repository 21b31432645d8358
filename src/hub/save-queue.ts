/**
 * Saves of all workers in order of arrival, committed in batches: saves that come during a commit
 * go together in the next.
 */
import type { CommitFigures } from "../metrics/commit-figures.ts";
import { messageOf } from "../protocol/message-of.ts";
import { commitBatch, hasColumns } from "../storage/column-saves.ts";
import {
  type Edit,
  type EditOutcome,
  type SaveOutcome,
  type StockWriter,
  StorageBusyError,
} from "../storage/contract.ts";
import { subjectOf } from "../storage/edits.ts";
import { goesOn } from "../storage/save-groups.ts";
import { databaseRefuses } from "../storage/save-refusals.ts";
import type { SaveEntry } from "./messages.ts";
import type { SavesWatch } from "./saves-watch.ts";
import type { WorkerLink } from "./worker-links.ts";
import type { WriterNote } from "./writer-note.ts";

/**
 * Limit for one transaction, so that a flood of large saves doesn't make each wait for all. A
 * single save is never split, and neither are those that belong together.
 */
const TRANSACTION_ROWS_MAX = 5_000;
/**
 * The same for saves of columns, where the engine takes them together: DuckDB writes rows of which
 * a transaction has 122,880 into its file at once, and fewer into its log before.
 */
const TOGETHER_ROWS_MAX = 160_000;
/** How long saves wait for another program's write lock, and how often the hub retries. */
const BUSY_WAIT_MAX_MS = 5_000;
const BUSY_RETRY_MS = 50;
/** How long without saves before the writer tidies up, and its pauses, in which saves go first. */
const TIDY_AFTER_MS = 200;
const TIDY_PAUSE_MS = 10;

export interface QueuedSave {
  link: WorkerLink;
  entry: SaveEntry;
  /** It gets a transaction of its own, as a hub has hung or died at it. */
  alone: boolean;
}

export interface CommittedSave {
  queued: QueuedSave;
  outcome: SaveOutcome;
}

export interface SaveQueueOptions {
  /** Null when workers commit for themselves; then no saves come. */
  writer: StockWriter | null;
  note: Pick<WriterNote, "begin" | "at" | "end">;
  figures: Pick<CommitFigures, "note">;
  beforeCommit(): void;
  /** Called in commit order, also for saves that the database refused. */
  committed(saves: CommittedSave[]): void;
  /** A transaction failed as a whole. */
  failed(): void;
  /** Called between two commits; the next begins afterwards, unless it is held up. */
  paused(): void;
  isHeldUp(): boolean;
  watch: Pick<SavesWatch, "failed" | "succeeded">;
}

export class SaveQueue {
  readonly #options: SaveQueueOptions;
  #queue: QueuedSave[] = [];
  readonly #edits: (() => Promise<void>)[] = [];
  /** Saves and edits take turns. */
  #isEditNext = true;
  #isScheduled = false;
  #committing: Promise<void> | null = null;
  #commitSince: number | null = null;
  #busySince: number | null = null;
  #stopping = false;
  #tidying: Timer | null = null;
  /** The last commit was of columns, which may be long: other saves go first. */
  #hadColumns = false;

  constructor(options: SaveQueueOptions) {
    this.#options = options;
    this.#tidyAfter(TIDY_AFTER_MS);
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#edits.length === 0 && this.#committing === null;
  }

  /** Saves that wait for a transaction. */
  get size(): number {
    return this.#queue.length;
  }

  /** How long the commit under way has lasted; 0 if there is none. */
  get commitMs(): number {
    return this.#commitSince === null ? 0 : performance.now() - this.#commitSince;
  }

  /** Needs `schedule` to be committed. */
  push(save: QueuedSave): void {
    this.#queue.push(save);
  }

  /** In a transaction of its own, between commits of saves. Needs `schedule`. */
  edit(edit: Edit): Promise<EditOutcome> {
    const { promise, resolve } = Promise.withResolvers<EditOutcome>();
    this.#edits.push(async () => resolve(await this.#makeEdit(edit)));
    return promise;
  }

  schedule(): void {
    if (this.#isScheduled || !this.#canCommit()) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#start();
    });
  }

  /** Resolves when everything queued is committed, or refused. */
  async drain(): Promise<void> {
    this.#stopping = true;
    if (this.#tidying !== null) clearTimeout(this.#tidying);
    while (!this.isIdle) {
      this.#start();
      await this.#committing;
    }
  }

  #canCommit(): boolean {
    const isWork = this.#queue.length > 0 || this.#edits.length > 0;
    return this.#committing === null && isWork && !this.#options.isHeldUp();
  }

  #start(): void {
    if (!this.#canCommit()) return;
    this.#commitSince = performance.now();
    const edit = this.#isEditNext || this.#queue.length === 0 ? this.#edits.shift() : undefined;
    this.#isEditNext = edit === undefined;
    this.#run(
      (edit?.() ?? this.#commit()).finally(() => {
        this.#commitSince = null;
      }),
      () => TIDY_AFTER_MS,
    );
  }

  /**
   * @param work a commit, or another task of the writer.
   * @param pauseMs time until the writer may tidy up, or null.
   */
  #run(work: Promise<void>, pauseMs: () => number | null): void {
    this.#committing = work.finally(() => {
      this.#committing = null;
      this.#options.paused();
      this.schedule();
      this.#tidyAfter(pauseMs());
    });
  }

  #tidyAfter(pauseMs: number | null): void {
    if (this.#tidying !== null) clearTimeout(this.#tidying);
    this.#tidying = null;
    const { writer } = this.#options;
    if (pauseMs === null || this.#stopping || writer?.tidy === undefined) return;
    this.#tidying = setTimeout(() => {
      if (!this.isIdle || this.#options.isHeldUp()) return this.#tidyAfter(TIDY_AFTER_MS);
      let isMore = false;
      const tidied = Promise.try(() => writer.tidy!()).then(
        (more) => {
          isMore = more;
        },
        // The commits that are hindered too, such as by a full disk, report the reason.
        () => {},
      );
      this.#run(tidied, () => (isMore ? TIDY_PAUSE_MS : null));
    }, pauseMs);
  }

  async #commit(): Promise<void> {
    const { writer, note, watch } = this.#options;
    if (writer === null) throw new Error("a save came to a hub without a writer");
    const batch = this.#takeBatch();
    const beganMs = performance.now();
    this.#options.beforeCommit();
    note.begin(batch[0]!.entry[1], batch.length);
    let outcomes: (SaveOutcome | null)[];
    try {
      const saves = batch.map(({ entry }) => entry[1]);
      const committed = commitBatch(writer, saves, note);
      // Avoids a turn of the event loop if the driver commits synchronously.
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
      // The whole transaction failed, for a full disk or another program's lock; nothing is stored.
      const details = messageOf(error);
      this.#options.failed();
      outcomes = batch.map(() => databaseRefuses(details));
    } finally {
      note.end();
    }
    this.#options.figures.note(performance.now() - beganMs, outcomes);
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

  async #makeEdit(edit: Edit): Promise<EditOutcome> {
    const { writer, note } = this.#options;
    if (writer === null) throw new Error("an edit came to a hub without a writer");
    const began = performance.now();
    this.#options.beforeCommit();
    note.begin(subjectOf(edit), 1);
    try {
      for (;;) {
        try {
          return await writer.edit(edit, note);
        } catch (error) {
          const isOver = this.#stopping || performance.now() - began >= BUSY_WAIT_MAX_MS;
          if (!(error instanceof StorageBusyError) || isOver) {
            this.#options.failed();
            return databaseRefuses(messageOf(error));
          }
          await Bun.sleep(BUSY_RETRY_MS);
        }
      }
    } finally {
      note.end();
    }
  }

  #takeBatch(): QueuedSave[] {
    if (this.#hadColumns) this.#putOthersFirst();
    const queue = this.#queue;
    const first = queue[0]!;
    this.#hadColumns = hasColumns(first.entry[1]);
    const isShared = !this.#hadColumns || this.#options.writer?.commitColumnsTogether !== undefined;
    const rowsMax = this.#hadColumns ? TOGETHER_ROWS_MAX : TRANSACTION_ROWS_MAX;
    let rows = first.entry[1].rows.length;
    let count = 1;
    while (count < queue.length) {
      const { entry, alone } = queue[count]!;
      const save = entry[1];
      rows += save.rows.length;
      const isOther = !isShared || first.alone || alone || hasColumns(save) !== this.#hadColumns;
      if (!goesOn(queue[count - 1]!.entry[1], save) && (isOther || rows > rowsMax)) break;
      count++;
    }
    if (count < queue.length) return queue.splice(0, count);
    this.#queue = [];
    return queue;
  }

  #putOthersFirst(): void {
    const isOther = ({ entry }: QueuedSave): boolean => !hasColumns(entry[1]);
    this.#queue = [...this.#queue.filter(isOther), ...this.#queue.filter((queued) => !isOther(queued))];
  }
}
