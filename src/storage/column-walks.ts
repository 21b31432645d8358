/**
 * The walks over columns of one worker. Each holds a snapshot, and with it old versions of rows. So
 * few go on at once, the others wait in a line, and none lasts for ever, not even where its reader
 * has stopped taking batches. Pages, and what the server reads for itself, have lines of their own:
 * large answers take minutes where their clients read slowly.
 */
import { clientGone, timeIsUp } from "../protocol/errors.ts";
import type { StockReader } from "./contract.ts";
import type { ColumnBatch, ColumnQuery, WalkLine } from "./model/columns.ts";
import { WaitingLine } from "./waiting-line.ts";

const WALKS_MAX: Record<WalkLine | "whole", number> = { whole: 4, page: 4, server: 2 };
/** In each line; further ones get 503. */
const WALKS_WAITING_MAX = 100;
/** A walk that can't begin in this time gets 503. */
const WALK_WAIT_MS = 10_000;

/** The reader, with these bounds in front of its own `columns`. */
export function withBoundedColumns(reader: StockReader, timeoutMs: number): StockReader {
  const walks = new ColumnWalks(timeoutMs);
  const read = reader.columns.bind(reader);
  reader.columns = (query) => walks.run(query, read);
  return reader;
}

export type ReadColumns = (query: ColumnQuery) => AsyncIterable<ColumnBatch>;

class ColumnWalks {
  readonly #timeoutMs: number;
  readonly #lines = { whole: lineOf("whole"), page: lineOf("page"), server: lineOf("server") };
  readonly #underWay = { whole: 0, page: 0, server: 0 };

  /** @param timeoutMs of `--read-timeout`. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** @param read begins the walk when its first batch is asked for. */
  run(query: ColumnQuery, read: ReadColumns): AsyncIterableIterator<ColumnBatch> {
    const name = query.line ?? "whole";
    const [line, underWay] = [this.#lines[name], this.#underWay];
    return new BoundedWalk(query, {
      timeoutMs: this.#timeoutMs,
      read,
      begin: async (signal) => {
        if (underWay[name] < WALKS_MAX[name]) underWay[name]++;
        else await line.wait(WALK_WAIT_MS, signal);
      },
      end: () => {
        if (!line.give()) underWay[name]--;
      },
    });
  }
}

function lineOf(name: keyof typeof WALKS_MAX): WaitingLine {
  return new WaitingLine({
    what: "read of columns",
    max: WALKS_WAITING_MAX,
    full: `${WALKS_MAX[name]} are under way and ${WALKS_WAITING_MAX} wait`,
    late: `${WALKS_MAX[name]} stayed under way`,
  });
}

interface WalkOptions {
  timeoutMs: number;
  read: ReadColumns;
  begin(signal: AbortSignal): Promise<void>;
  end(): void;
}

/** No generator: one that waits for its reader could not be ended by the time. */
class BoundedWalk implements AsyncIterableIterator<ColumnBatch> {
  readonly #query: ColumnQuery;
  readonly #options: WalkOptions;
  readonly #stop = new AbortController();
  #batches: AsyncIterator<ColumnBatch> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ending: Promise<void> | null = null;
  /** Told to the reader once. */
  #refusal: unknown = null;

  constructor(query: ColumnQuery, options: WalkOptions) {
    this.#query = query;
    this.#options = options;
  }

  async next(): Promise<IteratorResult<ColumnBatch>> {
    try {
      if (this.#ending !== null) return await this.#over();
      this.#batches ??= await this.#begin();
      const result = await this.#batches.next();
      if (this.#ending !== null) return await this.#over();
      if (result.done === true) await this.#end();
      return result;
    } catch (error) {
      await this.#end();
      const refusal = this.#refusal ?? error;
      this.#refusal = null;
      throw refusal;
    }
  }

  async return(): Promise<IteratorResult<ColumnBatch>> {
    this.#stop.abort();
    await this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #over(): Promise<IteratorResult<ColumnBatch>> {
    await this.#ending;
    if (this.#refusal !== null) throw this.#refusal;
    return { done: true, value: undefined };
  }

  async #begin(): Promise<AsyncIterator<ColumnBatch>> {
    const { signal } = this.#query;
    const { timeoutMs, read, begin, end } = this.#options;
    if (signal?.aborted) throw clientGone("read");
    signal?.addEventListener("abort", this.#onAbort);
    await begin(this.#stop.signal);
    if (this.#ending !== null) {
      // Given up as its turn came.
      end();
      throw clientGone("read");
    }
    this.#timer = setTimeout(() => this.#refuse(lateBy(timeoutMs)), timeoutMs);
    return read({ ...this.#query, signal: this.#stop.signal })[Symbol.asyncIterator]();
  }

  readonly #onAbort = (): void => this.#refuse(clientGone("read"));

  #refuse(refusal: unknown): void {
    this.#refusal = refusal;
    this.#stop.abort(refusal);
    this.#end().catch(() => null);
  }

  /** A batch that is being read ends by the signal, then what the walk holds is freed. */
  #end(): Promise<void> {
    this.#ending ??= this.#free();
    return this.#ending;
  }

  async #free(): Promise<void> {
    clearTimeout(this.#timer);
    this.#query.signal?.removeEventListener("abort", this.#onAbort);
    if (this.#batches === null) return;
    try {
      await this.#batches.return?.();
    } finally {
      this.#options.end();
    }
  }
}

function lateBy(timeoutMs: number): unknown {
  return timeIsUp(`read: stopped at the limit of ${timeoutMs / 1_000} s`, {
    hint: "The limit is the server's --read-timeout; ask for fewer rows at a time.",
  });
}
