/**
 * Collects rows of all tickers for some milliseconds, and saves them together. Each batch is sent
 * until it is answered, under one key, so that a repetition changes nothing.
 */

import type { Connection } from "./connection.ts";
import { RequestError, StockDBError } from "./errors.ts";
import { stringifyExact } from "./exact-json.ts";
import type { SaveQuotesParameters, SaveTradesParameters } from "./generated/api.ts";
import { Lane } from "./lane.ts";
import {
  add,
  postRows,
  queryOf,
  randomKey,
  type SaveAnswer,
  type SentBar,
  type SentQuote,
  type SentTrade,
} from "./saves.ts";
import type { Batch, OpenSpool, Spool } from "./spool-contract.ts";

export interface WriterOptions {
  /** How long rows wait for others, at most. Default: 20. */
  intervalMs?: number | undefined;
  /** Rows of a batch, at most; up to 15,000. Default: 5,000. */
  batchRows?: number | undefined;
  /** Rows in memory. Then `trade()`, `quote()` and `bar()` wait. Default: 50,000. */
  queueRows?: number | undefined;
  /** The same in characters. Default: 64,000,000. */
  queueCharacters?: number | undefined;
  /** What becomes of a tick that is stored already; see docs/commands.md. Default: `ignore`. */
  onDuplicate?: (SaveTradesParameters["onDuplicate"] & SaveQuotesParameters["onDuplicate"]) | undefined;
  /** Batches wait on the disk for their answers: `fileSpool(…)` of `stock-db-client/spool`. */
  spool?: Spool | undefined;
  /** Is told of each row that the server refuses. Without it, `flush()` and `close()` throw. */
  onRefused?: ((refused: Refused) => void) | undefined;
  /** Is told of each answer. */
  onSaved?: ((answer: SaveAnswer) => void) | undefined;
  /** How long `close()` waits for the last answers. Default: 60,000. */
  closeMs?: number | undefined;
}

export interface Refused {
  /** As it was sent, with its `symbol`. */
  row: Record<string, unknown>;
  error: RequestError;
}

export interface WriterFigures {
  /** Taken from the program in this run. */
  rows: number;
  /** What has become of them, as the server counts. */
  stored: number;
  replaced: number;
  repeated: number;
  skipped: number;
  refused: number;
  requests: number;
  retries: number;
  /** Waiting in memory, and on the disk, for an answer. */
  queuedRows: number;
  spooledRows: number;
  /** Why the last try failed; null: it didn't. */
  lastError: string | null;
}

const INTERVAL_MS = 20;
const BATCH_ROWS = 5_000;
const BATCH_ROWS_MAX = 15_000;
const QUEUE_ROWS = 50_000;
const QUEUE_CHARACTERS = 64_000_000;
/** A program that doesn't wait is stopped at so many times the bound. */
const HARD_FACTOR = 2;
const CLOSE_MS = 60_000;
const REFUSED_KEPT_MAX = 100;
/** These are of rows: others of the batch may be stored. */
const OF_ROWS: ReadonlySet<number> = new Set([400, 403, 409, 413, 500]);
const TABLES = { trade: "/v1/trades", quote: "/v1/quotes" };

export class Writer implements AsyncDisposable {
  readonly figures: WriterFigures = {
    ...{ rows: 0, stored: 0, replaced: 0, repeated: 0, skipped: 0, refused: 0 },
    ...{ requests: 0, retries: 0, queuedRows: 0, spooledRows: 0, lastError: null },
  };
  readonly #server: Connection;
  readonly #options: WriterOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #abort = new AbortController();
  readonly #opened: Promise<OpenSpool | null>;
  readonly #key = randomKey();
  #batches = 0;
  #characters = 0;
  /** What is to be looked at again whenever something was answered. */
  #waiting: (() => void)[] = [];
  #refused: Refused[] = [];
  #failure: Error | null = null;
  #isClosed = false;

  constructor(server: Connection, options: WriterOptions) {
    const { batchRows = BATCH_ROWS } = options;
    if (!(batchRows >= 1 && batchRows <= BATCH_ROWS_MAX))
      throw new StockDBError(`writer: batchRows: got ${batchRows}, expected 1 to ${BATCH_ROWS_MAX}`);
    this.#server = server;
    this.#options = options;
    this.#opened = this.#open();
    this.#opened.catch((error) => this.#fail(error));
  }

  /** Resolves when there is room for the next row; the row itself is taken at once. */
  trade(symbol: string, row: SentTrade): Promise<void> {
    return this.#take(TABLES.trade, { onDuplicate: this.#options.onDuplicate }, { ...row, symbol });
  }

  quote(symbol: string, row: SentQuote): Promise<void> {
    return this.#take(TABLES.quote, { onDuplicate: this.#options.onDuplicate }, { ...row, symbol });
  }

  bar(symbol: string, timeframe: string, row: SentBar): Promise<void> {
    return this.#take("/v1/bars", { timeframe }, { ...row, symbol });
  }

  /**
   * Resolves when all rows that were taken before are answered.
   * @throws RefusedError Rows were refused, and nobody listens.
   * @throws StockDBError It can't go on.
   */
  async flush(): Promise<void> {
    await this.#opened.catch(() => null);
    const goals = [...this.#lanes.values()].map((lane) => ({ lane, goal: lane.taken }));
    for (const { lane } of goals) lane.cut();
    await this.#until(() => goals.every(({ lane, goal }) => lane.settled >= goal));
    this.#throwRefused();
  }

  /** Sends what is left. With a spool, what isn't answered in time stays in it for the next run. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { closeMs = CLOSE_MS } = this.#options;
    const timer = setTimeout(() => this.#abort.abort(new StockDBError("writer: it was closed")), closeMs);
    try {
      await this.flush();
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
      const { queuedRows, lastError } = this.figures;
      if (queuedRows > 0)
        throw new StockDBError(
          `writer: ${queuedRows} rows were not answered within ${closeMs} ms: ${lastError}`,
        );
    } finally {
      clearTimeout(timer);
      this.#abort.abort();
      const spool = await this.#opened.catch(() => null);
      await spool?.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #take(path: string, parameters: object, row: Record<string, unknown>): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#isClosed) return Promise.reject(new StockDBError("writer: it is closed"));
    if (!this.#hasRoom(HARD_FACTOR))
      return Promise.reject(
        new StockDBError("writer: the queue is full; wait for each trade(), quote() and bar()"),
      );
    let line: string;
    try {
      line = stringifyExact(row);
    } catch (error) {
      return Promise.reject(error);
    }
    this.figures.rows++;
    this.figures.queuedRows++;
    this.#characters += line.length;
    this.#lane(path, queryOf(parameters).toString()).add(line);
    return this.#hasRoom(1) ? Promise.resolve() : this.#until(() => this.#hasRoom(1));
  }

  #hasRoom(factor: number): boolean {
    const { queueRows = QUEUE_ROWS, queueCharacters = QUEUE_CHARACTERS } = this.#options;
    return this.figures.queuedRows < queueRows * factor && this.#characters < queueCharacters * factor;
  }

  #lane(path: string, query: string): Lane {
    const name = `${path}?${query}`;
    const lane = this.#lanes.get(name) ?? this.#newLane(path, query);
    this.#lanes.set(name, lane);
    return lane;
  }

  #newLane(path: string, query: string): Lane {
    const { intervalMs = INTERVAL_MS, batchRows = BATCH_ROWS, spool } = this.#options;
    const key = (): string => `${this.#key}.${this.#batches++}`;
    return new Lane({
      ...{ intervalMs, batchRows, cutsAlways: spool !== undefined },
      make: (lines) => ({ path, query, key: key(), lines }),
      keep: (batch) => this.#keep(batch),
      send: (batch) => this.#send(batch),
      settled: () => this.#look(),
      failed: (error) => this.#fail(error),
    });
  }

  /** Those of an earlier run go first. */
  async #open(): Promise<OpenSpool | null> {
    const spool = (await this.#options.spool?.open()) ?? null;
    for (const left of spool?.left ?? []) {
      this.figures.spooledRows += left.rows;
      this.#lane(left.path, left.query).addKept(left);
    }
    return spool;
  }

  /** With a spool, a batch is on the disk before it is sent; its rows leave the memory. */
  async #keep(batch: Batch): Promise<void> {
    const spool = await this.#opened;
    if (spool === null) return;
    batch.place = await spool.append(batch, this.#abort.signal);
    const rows = batch.lines!.length;
    this.#release(rows, batch.lines!);
    this.figures.spooledRows += rows;
    batch.lines = null;
    this.#look();
  }

  async #send(batch: Batch): Promise<void> {
    const spool = await this.#opened;
    const lines = batch.lines ?? (await spool!.read(batch.place!));
    await this.#post(batch, lines, batch.key);
    if (batch.place === undefined) this.#release(lines.length, lines);
    else {
      await spool!.done(batch.place, batch.key);
      this.figures.spooledRows -= lines.length;
    }
  }

  /** Where the server refuses, halves find the rows that are refused; all others are stored. */
  async #post(batch: Batch, lines: readonly string[], key: string): Promise<void> {
    const query = new URLSearchParams(batch.query);
    try {
      const saved = await postRows(this.#server, {
        ...{ path: batch.path, query, lines, key, signal: this.#abort.signal },
        retryForMs: Number.POSITIVE_INFINITY,
        onRetry: (error) => {
          this.figures.retries++;
          this.figures.lastError = error.message;
        },
      });
      this.#count(saved);
    } catch (error) {
      if (!(error instanceof RequestError) || !OF_ROWS.has(error.status) || isOfKey(error)) throw error;
      if (lines.length === 1) return this.#refuse(lines[0]!, error);
      const half = lines.length >> 1;
      await this.#post(batch, lines.slice(0, half), `${key}.0`);
      await this.#post(batch, lines.slice(half), `${key}.1`);
    }
  }

  #count(saved: Parameters<typeof add>[1]): void {
    const answer: SaveAnswer = {
      ...{ rows: 0, stored: 0, replaced: 0, repeated: 0, skipped: 0 },
      ...{ epoch: null, positions: {}, warnings: [] },
    };
    add(answer, saved);
    for (const name of ["stored", "replaced", "repeated", "skipped"] as const)
      this.figures[name] += answer[name];
    this.figures.requests++;
    this.figures.lastError = null;
    this.#server.warn(answer.warnings);
    this.#options.onSaved?.(answer);
  }

  #refuse(line: string, error: RequestError): void {
    this.figures.refused++;
    const refused = { row: JSON.parse(line), error };
    if (this.#options.onRefused !== undefined) this.#options.onRefused(refused);
    else if (this.#refused.length < REFUSED_KEPT_MAX) this.#refused.push(refused);
  }

  #throwRefused(): void {
    const refused = this.#refused;
    if (refused.length === 0) return;
    this.#refused = [];
    throw new RefusedError(refused);
  }

  #release(rows: number, lines: readonly string[]): void {
    this.figures.queuedRows -= rows;
    for (const line of lines) this.#characters -= line.length;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.figures.lastError = error.message;
    this.#look();
  }

  #look(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const look of waiting) look();
  }

  /** @throws what keeps it from going on. */
  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.#failure !== null) reject(this.#failure);
        else if (condition()) resolve();
        else this.#waiting.push(look);
      };
      look();
    });
  }
}

/** Rows that the server has refused; all others are stored. */
export class RefusedError extends StockDBError {
  override name = "RefusedError";
  /** The first 100. */
  readonly refused: readonly Refused[];

  constructor(refused: readonly Refused[]) {
    const [{ row, error }] = refused as [Refused];
    super(`writer: ${refused.length} rows were refused; the first: ${error.message}: ${JSON.stringify(row)}`);
    this.refused = refused;
  }
}

/** A key that may save nothing: no row of it would be stored. */
function isOfKey({ status, message }: RequestError): boolean {
  return status === 403 && /lacks the scope|--read-only|--allow-origin/.test(message);
}
