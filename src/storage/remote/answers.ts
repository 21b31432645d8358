/**
 * Hands answers of the upstream on to the client without looking into rows. Only begin and end are
 * checked, as a proxy's page and half an answer without length have status 200 too. An answer that
 * goes on piece by piece and ends wrongly breaks off.
 */
import { atClientsPace } from "../../protocol/clients-pace.ts";
import { within } from "../../time/within.ts";
import type { JsonRows } from "../contract.ts";
import type { SqlAnswer } from "../user-sql-contract.ts";
import { isWithin, readRest, SHORT_BYTES_MAX } from "./answer-body.ts";
import type { UpstreamAnswer } from "./upstream.ts";
import { shownBeginning, WrongAnswerError } from "./wrong-answer.ts";

/** Smaller answers are held as a whole. */
const WHOLE_BYTES_MAX = 1024 * 1024;
/** Longest time between two pieces of an answer. */
const PIECE_TIMEOUT_MS = 30_000;
/** More than what comes before the rows of any answer. */
const ENVELOPE_BYTES_MAX = 128;

/** Older servers write the spaces. */
const ROWS_BEGIN = /^\{"data": ?\[ ?\{/;
const NOTHING_FOUND_BEGIN = /^\{"message": ?"/;
const NOTHING_FOUND_END = /"data": ?\[\]\}$/;
const SQL_BEGIN = /^\{(?:"message": ?"[^"\\]*", ?)?"data": ?(?=\[)/;
const ROWS_END = "}]}";
const NO_ROWS = "[]}";
const END_LENGTH = 3;

type Source = ReadableStreamDefaultReader<Uint8Array>;

/** The answer to a command that reads bars or ticks. @throws WrongAnswerError */
export async function readRows({ response, keep }: UpstreamAnswer): Promise<JsonRows> {
  const { head, source } = await readHead(response);
  const begin = beginOf(head);
  if (NOTHING_FOUND_BEGIN.test(begin)) {
    const whole = source === null ? head : await readRest(source, SHORT_BYTES_MAX, [head]);
    if (!NOTHING_FOUND_END.test(whole.toString())) throw notWhole(whole);
    return { empty: true };
  }
  if (!ROWS_BEGIN.test(begin)) throw new WrongAnswerError(shownBeginning(head));
  if (source !== null) return { empty: false, chunks: chunksOf(head, source, keep()) };
  if (endOf(head) !== ROWS_END) throw notWhole(head);
  return { empty: false, text: head.toString() };
}

/**
 * The rows of an answer to execute_sql, without what surrounds them: that is added again for the
 * client.
 *
 * @throws WrongAnswerError
 */
export async function readSqlRows({ response, keep }: UpstreamAnswer): Promise<SqlAnswer> {
  const { head, source } = await readHead(response);
  const envelope = SQL_BEGIN.exec(beginOf(head));
  if (envelope === null) throw new WrongAnswerError(shownBeginning(head));
  const rows = head.subarray(envelope[0].length);
  if (source !== null) return { rows: SOME_ROWS, body: withoutLastByte(rows, source, keep()) };
  const end = endOf(rows);
  if (end !== ROWS_END && end !== NO_ROWS) throw notWhole(head);
  return { rows: rows.length > NO_ROWS.length ? SOME_ROWS : 0, body: rows.subarray(0, -1) };
}

/** Only whether there are any matters. */
const SOME_ROWS = 1;

function notWhole(answer: Uint8Array): WrongAnswerError {
  return new WrongAnswerError(`it ends before its end, after ${answer.length} bytes`);
}

function beginOf(answer: Buffer): string {
  return answer.subarray(0, ENVELOPE_BYTES_MAX).toString("latin1");
}

function endOf(answer: Uint8Array): string {
  return Buffer.from(answer.subarray(-END_LENGTH)).toString("latin1");
}

/** All of a small answer, without a source for more; of others at least the envelope. */
async function readHead(response: Response): Promise<{ head: Buffer; source: Source | null }> {
  if (response.body === null) return { head: Buffer.alloc(0), source: null };
  if (isWithin(response, WHOLE_BYTES_MAX))
    return { head: Buffer.from(await response.arrayBuffer()), source: null };
  const source = response.body.getReader() as Source;
  const pieces: Uint8Array[] = [];
  let size = 0;
  while (size < ENVELOPE_BYTES_MAX) {
    const { value, done } = await source.read();
    if (done) return { head: Buffer.concat(pieces), source: null };
    pieces.push(value);
    size += value.length;
  }
  return { head: Buffer.concat(pieces), source };
}

/** Not a generator: one that was never begun would not give its connection back on `return()`. */
function chunksOf(head: Uint8Array, source: Source, release: () => void): AsyncIterableIterator<Uint8Array> {
  const pieces = new Pieces(source, release);
  let first: Uint8Array | null = head;
  return {
    async next() {
      const value = first ?? (await pieces.next());
      first = null;
      if (value === null) return { done: true, value: undefined };
      pieces.note(value);
      return { done: false, value };
    },
    async return() {
      await pieces.cancel();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Stays one piece behind, to know the last byte when it comes. */
function withoutLastByte(head: Uint8Array, source: Source, release: () => void): ReadableStream<Uint8Array> {
  const pieces = new Pieces(source, release);
  let held = head;
  pieces.note(head);
  let isOver = false;
  return atClientsPace({
    async next() {
      while (!isOver) {
        const next = await pieces.next();
        const piece = next === null ? held.subarray(0, -1) : held;
        if (next === null) isOver = true;
        else {
          pieces.note(next);
          held = next;
        }
        if (piece.length > 0) return piece;
      }
      return null;
    },
    cancel: () => pieces.cancel(),
  });
}

/** What is left of an answer. */
class Pieces {
  readonly #source: Source;
  readonly #release: () => void;
  /** Its last bytes so far. */
  #end = "";

  constructor(source: Source, release: () => void) {
    this.#source = source;
    this.#release = release;
  }

  note(piece: Uint8Array): void {
    this.#end = (this.#end + endOf(piece)).slice(-END_LENGTH);
  }

  /**
   * Null after the last.
   *
   * @throws Error the connection was lost, or nothing comes any more: whoever has the first part
   *   must not take it for the whole.
   */
  async next(): Promise<Uint8Array | null> {
    try {
      const { value, done } = await within(this.#source.read(), PIECE_TIMEOUT_MS, () => {
        throw new Error(`the upstream sent nothing for ${PIECE_TIMEOUT_MS / 1000} s`);
      });
      if (!done) return value;
      if (this.#end !== ROWS_END && this.#end !== NO_ROWS)
        throw new Error("the upstream's answer ended before its end");
      this.#release();
      return null;
    } catch (error) {
      this.#release();
      // Not waited for: what hangs may go on doing so.
      this.#source.cancel().catch(() => {});
      throw error;
    }
  }

  async cancel(): Promise<void> {
    this.#release();
    await this.#source.cancel();
  }
}
