/**
 * The hub's side of the workers' reads. It asks the database, hands an answer over piece by piece,
 * and forgets it on cancel.
 */
import { type Pieces, piecesIn, piecesOf } from "../protocol/clients-pace.ts";
import { RequestError, refusalOf, unavailable } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { JsonRows, StockReader } from "../storage/contract.ts";
import type { ColumnBatch, WalkPositions } from "../storage/model/columns.ts";
import { WHOLE_BYTES_MAX } from "../storage/sql-answer.ts";
import type { StoredUpdate } from "../storage/update-contract.ts";
import type { InterruptibleSql, SqlParam } from "../storage/user-sql-contract.ts";
import type {
  ReadToHub,
  ReadToWorker,
  SentColumnQuery,
  SentPositions,
  UpdateHeader,
  WireSqlRequest,
} from "./messages.ts";
import { askReader, crossingOf } from "./remote-reads.ts";
import { type SentColumn, sentColumns } from "./sent-columns.ts";

/** Unfinished answers of one worker; a further one gets 503. */
const UNFINISHED_MAX = 1_000;
const UTF8 = new TextEncoder();

export interface DatabaseInHub {
  reader: StockReader;
  sql: InterruptibleSql;
  /** Throws when the database must not be read any more. */
  look?(): void;
  /** Called before the answer when a statement may have changed rows. */
  written(): void;
}

type Send = (message: ReadToWorker, attachment?: Uint8Array | readonly Uint8Array[]) => void;

interface Unfinished {
  pieces: Pieces | null;
  /** Of a walk over columns, instead of pieces. */
  batches: AsyncIterator<ColumnBatch> | null;
  /** The batch that is read while the worker uses those before. */
  ahead: Promise<IteratorResult<ColumnBatch>> | null;
  abort: AbortController;
}

/** One for each worker's connection. */
export class ReadServer {
  readonly #database: DatabaseInHub;
  readonly #send: Send;
  readonly #unfinished = new Map<number, Unfinished>();

  constructor(database: DatabaseInHub, send: Send) {
    this.#database = database;
    this.#send = send;
  }

  receive(message: ReadToHub): void {
    switch (message.type) {
      case "read":
        this.#begin(message.id, (signal) => this.#read(message, signal));
        break;
      case "sql":
        this.#begin(message.id, (signal) =>
          this.#runSql(message.id, message.request, message.timeoutMs, signal),
        );
        break;
      case "next":
        void this.#guard(message.id, async () => {
          this.#database.look?.();
          await this.#sendNext(message.id);
        });
        break;
      case "cancel":
        this.#forget(message.id);
        break;
    }
  }

  close(): void {
    for (const id of [...this.#unfinished.keys()]) this.#forget(id);
  }

  #begin(id: number, work: (signal: AbortSignal) => Promise<void>): void {
    if (this.#unfinished.size >= UNFINISHED_MAX) {
      this.#fail(id, unavailable(`read: ${UNFINISHED_MAX} reads of this worker are under way`));
      return;
    }
    const abort = new AbortController();
    this.#unfinished.set(id, { pieces: null, batches: null, ahead: null, abort });
    void this.#guard(id, async () => {
      this.#database.look?.();
      await work(abort.signal);
    });
  }

  async #guard(id: number, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const wanted = this.#unfinished.has(id);
      this.#forget(id);
      if (wanted) this.#fail(id, error);
    }
  }

  async #read({ id, ...question }: ReadToHub & { type: "read" }, signal: AbortSignal): Promise<void> {
    if (crossingOf(question.name) === "columns")
      return this.#sendColumns(id, question.args[0] as SentColumnQuery, signal);
    const answer = await askReader(this.#database.reader, question, signal);
    switch (crossingOf(question.name)) {
      case "rows":
        return this.#sendRows(id, answer as JsonRows);
      case "updates":
        return this.#sendUpdates(id, answer as StoredUpdate[]);
      case "map":
        return this.#sendValue(id, [...(answer as Map<unknown, unknown>)]);
      case "value":
        return this.#sendValue(id, answer ?? null);
    }
  }

  #sendValue(id: number, value: unknown): void {
    if (this.#unfinished.delete(id)) this.#send({ type: "value", id, value });
  }

  async #sendRows(id: number, rows: JsonRows): Promise<void> {
    const unfinished = this.#unfinished.get(id);
    if (unfinished === undefined) {
      if (!rows.empty && "chunks" in rows) await rows.chunks[Symbol.asyncIterator]().return?.();
      return;
    }
    if (!rows.empty && "chunks" in rows) {
      unfinished.pieces = piecesOf(rows.chunks[Symbol.asyncIterator]());
      await this.#sendNext(id);
      return;
    }
    this.#unfinished.delete(id);
    if (rows.empty) this.#send({ type: "empty", id });
    else this.#send({ type: "piece", id, more: false }, UTF8.encode(rows.text));
  }

  async #sendColumns(
    id: number,
    { withPositions, ...query }: SentColumnQuery,
    signal: AbortSignal,
  ): Promise<void> {
    let found: SentPositions | undefined;
    const onPositions = ({ epoch, positions }: WalkPositions): void => {
      found = { epoch, positions: [...positions] };
    };
    const walk = this.#database.reader.columns({ ...query, signal, ...(withPositions && { onPositions }) });
    this.#unfinished.get(id)!.batches = walk[Symbol.asyncIterator]();
    await this.#sendNext(id, () => ({ positions: found }));
  }

  #sendUpdates(id: number, updates: StoredUpdate[]): void {
    if (!this.#unfinished.delete(id)) return;
    const frames = updates.map(({ frame }) => Buffer.from(frame, "utf8"));
    const headers = updates.map(
      ({ position, type, savedAtMs }, i): UpdateHeader => [position, type, savedAtMs, frames[i]!.length],
    );
    this.#send({ type: "updates", id, updates: headers }, Buffer.concat(frames));
  }

  async #runSql(id: number, request: WireSqlRequest, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const params = request.params.map(
      (param): SqlParam => (typeof param === "object" && param !== null ? BigInt(param.integer) : param),
    );
    const outcome = await this.#database.sql.run({ ...request, params }, { timeoutMs, signal });
    if (request.mode === "write") this.#database.written();
    const unfinished = this.#unfinished.get(id);
    if (unfinished === undefined) return;
    if (outcome.status === "needs-write") {
      this.#unfinished.delete(id);
      this.#send({ type: "needs-write", id });
    } else if (outcome.status === "error") {
      throw refusalOf(outcome.httpStatus, outcome);
    } else if (outcome.bytes <= WHOLE_BYTES_MAX) {
      // Sent whole: an answer in pieces has begun with 200, and breaks off should this process die.
      this.#unfinished.delete(id);
      const { rows, changed, parts } = outcome;
      this.#send({ type: "piece", id, more: false, rows, changed }, Buffer.concat(parts));
    } else {
      unfinished.pieces = piecesIn(outcome.parts);
      const { rows, changed } = outcome;
      await this.#sendNext(id, () => ({ rows, changed }));
    }
  }

  /** @param also what the first piece tells beside. */
  async #sendNext(
    id: number,
    also: () => Pick<PieceMessage, "rows" | "changed" | "positions"> = () => ({}),
  ): Promise<void> {
    const unfinished = this.#unfinished.get(id);
    const next = await nextOf(unfinished);
    if (next === undefined || !this.#unfinished.has(id)) return;
    const more = next !== null;
    if (!more) this.#unfinished.delete(id);
    this.#send({ type: "piece", id, more, columns: next?.columns, ...also() }, next?.bytes);
  }

  #forget(id: number): void {
    const unfinished = this.#unfinished.get(id);
    if (unfinished === undefined) return;
    this.#unfinished.delete(id);
    unfinished.abort.abort();
    void unfinished.pieces?.cancel?.(null);
    // What a walk throws now nobody reads.
    unfinished.batches?.return?.().catch(() => null);
  }

  #fail(id: number, error: unknown): void {
    const { status, message, details, hint, retryAfterS } =
      error instanceof RequestError ? error : unavailable(`the database refused a read: ${messageOf(error)}`);
    this.#send({ type: "failed", id, status, error: message, details, hint, retryAfterS });
  }
}

type PieceMessage = ReadToWorker & { type: "piece" };

/** Null at the end; undefined: there is no answer any more. */
async function nextOf(
  unfinished: Unfinished | undefined,
): Promise<{ bytes: Uint8Array | Uint8Array[]; columns?: SentColumn[] } | null | undefined> {
  if (unfinished?.batches) {
    const { done, value } = await (unfinished.ahead ?? unfinished.batches.next());
    if (done) return null;
    unfinished.ahead = unfinished.batches.next();
    // Told when it is asked for.
    unfinished.ahead.catch(() => null);
    const { told, bytes } = sentColumns(value);
    return { bytes, columns: told };
  }
  if (unfinished?.pieces == null) return undefined;
  const bytes = await unfinished.pieces.next();
  return bytes === null ? null : { bytes };
}
