/**
 * Commits the saves of a process that writes its database itself. Saves that arrive during a commit
 * go together into the next. While a commit takes long, a second one of other tickers begins: the
 * database may be far away, or another program may hold a ticker's lock.
 */
import { CommitFigures } from "../metrics/commit-figures.ts";
import type { Samples } from "../metrics/samples.ts";
import { unavailable } from "../protocol/errors.ts";
import { commitBatch, hasColumns } from "./column-saves.ts";
import {
  type Edit,
  type EditOutcome,
  type Save,
  type SaveOutcome,
  type StockWriter,
  StorageBusyError,
} from "./contract.ts";
import { editedTickers } from "./edits.ts";
import { goesOn } from "./save-groups.ts";

/** Request bodies; beyond it a save gets 503. */
const WAITING_BYTES_MAX = 256 * 1024 * 1024;
/** In one transaction; a single save is never split. */
const TRANSACTION_ROWS_MAX = 20_000;
const TRANSACTION_BYTES_MAX = 32 * 1024 * 1024;
const COMMITS_MAX = 2;
/** Where commits are faster than this, fewer and larger ones do more. */
const ALONE_MS = 5;

interface Waiting {
  save: Save;
  bytes: number;
  resolve(outcome: SaveOutcome): void;
  reject(error: unknown): void;
}

export class GroupCommit {
  readonly #writer: Pick<StockWriter, "commit" | "commitColumns" | "edit">;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** Tickers of each commit under way. */
  readonly #tickers = new Set<Set<string>>();
  /** Of each edit under way. */
  readonly #edited = new Set<Set<string>>();
  #nextTurn: NodeJS.Timeout | NodeJS.Immediate | null = null;
  readonly #idle: (() => void)[] = [];
  readonly #figures = new CommitFigures();

  constructor(writer: Pick<StockWriter, "commit" | "commitColumns" | "edit">) {
    this.#writer = writer;
  }

  /**
   * @param bytes size of the request.
   * @throws RequestError 503: too much is waiting, or the database is away.
   */
  save(save: Save, bytes: number): Promise<SaveOutcome> {
    return this.saveTogether([save], bytes)[0]!;
  }

  /**
   * Saves of one group, or one alone.
   * @param bytes of all of them. @throws RequestError as `save`.
   */
  saveTogether(saves: readonly Save[], bytes: number): Promise<SaveOutcome>[] {
    if (this.#waitingBytes + bytes > WAITING_BYTES_MAX && this.#waiting.length > 0) {
      throw unavailable(
        `save: ${this.#waitingBytes} bytes of saves wait for the database already; try again`,
      );
    }
    const outcomes = saves.map((save) => {
      const { promise, resolve, reject } = Promise.withResolvers<SaveOutcome>();
      this.#waiting.push({ save, bytes: bytes / saves.length, resolve, reject });
      return promise;
    });
    this.#waitingBytes += bytes;
    this.#plan();
    return outcomes;
  }

  /**
   * Saves of its tickers wait here until it is made. In the database they would wait for its locks,
   * and the saves of others that share their transaction with them.
   */
  async edit(edit: Edit): Promise<EditOutcome> {
    const tickers = new Set(editedTickers(edit));
    this.#edited.add(tickers);
    try {
      return await this.#writer.edit(edit);
    } catch (error) {
      throw error instanceof StorageBusyError
        ? unavailable("edit: the database is locked", error.message)
        : error;
    } finally {
      this.#edited.delete(tickers);
      this.#plan();
      this.#tellIfIdle();
    }
  }

  /** Of its commits, for metrics. */
  samples(): Samples {
    return this.#figures.samples(this.#waiting.length);
  }

  /** Resolves when everything accepted is committed or refused. */
  async idle(): Promise<void> {
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #plan(): void {
    if (this.#nextTurn !== null || this.#tickers.size === COMMITS_MAX) return;
    const begin = (): void => {
      this.#nextTurn = null;
      void this.#run();
    };
    // The first commit takes everything that this turn of the event loop brings.
    this.#nextTurn = this.#tickers.size === 0 ? setImmediate(begin) : setTimeout(begin, ALONE_MS);
  }

  async #run(): Promise<void> {
    const batch = this.#takeBatch();
    if (batch.length === 0) return;
    const tickers = new Set(batch.map(({ save }) => save.ticker));
    this.#tickers.add(tickers);
    await this.#commit(batch);
    this.#tickers.delete(tickers);
    if (this.#waiting.length > 0) {
      // The rest has waited: it begins at once, unless another commit runs and needs time alone.
      if (this.#tickers.size === 0) void this.#run();
      this.#plan();
    }
    this.#tellIfIdle();
  }

  #isIdle(): boolean {
    return this.#waiting.length === 0 && this.#tickers.size === 0 && this.#edited.size === 0;
  }

  #tellIfIdle(): void {
    if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #commit(batch: Waiting[]): Promise<void> {
    let left: Waiting[] = [];
    const beganMs = performance.now();
    try {
      const outcomes = await commitBatch(
        this.#writer,
        batch.map(({ save }) => save),
      );
      this.#figures.note(performance.now() - beganMs, outcomes);
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

  /** Takes no ticker that is under way, so that its saves stay in order. */
  #takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    let rows = 0;
    let bytes = 0;
    let isFull = false;
    for (const group of waitingGroups(this.#waiting)) {
      const more = sizeOf(group);
      const fits =
        batch.length === 0 ||
        (!hasColumns(batch[0]!.save) &&
          !hasColumns(group[0]!.save) &&
          rows + more.rows <= TRANSACTION_ROWS_MAX &&
          bytes + more.bytes <= TRANSACTION_BYTES_MAX);
      if (isFull || group.some(({ save }) => this.#isUnderWay(save.ticker))) {
        left.push(...group);
      } else if (!fits) {
        isFull = true;
        left.push(...group);
      } else {
        rows += more.rows;
        bytes += more.bytes;
        batch.push(...group);
      }
    }
    this.#waiting = left;
    return batch;
  }

  #isUnderWay(ticker: string): boolean {
    for (const underWay of [this.#tickers, this.#edited])
      for (const tickers of underWay) if (tickers.has(ticker)) return true;
    return false;
  }
}

/** Groups, and each save without one. */
function waitingGroups(all: readonly Waiting[]): Waiting[][] {
  const groups: Waiting[][] = [];
  for (const [index, waiting] of all.entries()) {
    if (goesOn(all[index - 1]?.save, waiting.save)) groups.at(-1)!.push(waiting);
    else groups.push([waiting]);
  }
  return groups;
}

function sizeOf(group: readonly Waiting[]): { rows: number; bytes: number } {
  return {
    rows: group.reduce((sum, { save }) => sum + save.rows.length, 0),
    bytes: group.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
