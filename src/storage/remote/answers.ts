/**
 * Hands answers on to the client without parsing rows. Only their beginning and end are checked: a
 * proxy's page, or half an answer without a length, has status 200 too.
 */
import { atClientsPace, iterate, type Pieces } from "../../protocol/clients-pace.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { within } from "../../time/within.ts";
import { BrokenAnswerError } from "../answered-rows.ts";
import type { JsonRows } from "../contract.ts";
import type { SqlAnswer } from "../user-sql-contract.ts";
import { type BodyReader, readAll, readBeginning, SHORT_BYTES_MAX } from "./answer-body.ts";
import type { UpstreamAnswer } from "./upstream.ts";
import { shownBeginning, WrongAnswerError } from "./wrong-answer.ts";

/** Longest time between two pieces of an answer. */
const PIECE_TIMEOUT_MS = 30_000;
/** More than precedes the rows in any answer. */
const ENVELOPE_BYTES_MAX = 128;

/** Older servers write the spaces. */
const ROWS_BEGIN = /^\{"data": ?\[ ?\{/;
const NOTHING_FOUND_BEGIN = /^\{"message": ?"/;
const NOTHING_FOUND_END = /"data": ?\[\]\}$/;
const SQL_BEGIN = /^\{(?:"message": ?"[^"\\]*", ?)?(?:"rows_changed": ?(\d+), ?)?"data": ?(?=\[)/;
const ROWS_END = "}]}";
const NO_ROWS = "[]}";
const END_LENGTH = 3;

/** Reads the answer to a command for bars or ticks. @throws WrongAnswerError */
export async function readRows({ response, keep }: UpstreamAnswer): Promise<JsonRows> {
  const part = await readBeginning(response, ENVELOPE_BYTES_MAX);
  const { head, rest } = part;
  const begin = beginOf(head);
  if (NOTHING_FOUND_BEGIN.test(begin)) {
    const whole = await readAll(part, SHORT_BYTES_MAX);
    if (!NOTHING_FOUND_END.test(whole.toString())) throw notWhole(whole);
    return { empty: true };
  }
  if (!ROWS_BEGIN.test(begin)) throw new WrongAnswerError(shownBeginning(head));
  if (rest !== null) return { empty: false, chunks: iterate(new RowPieces(head, rest, keep())) };
  if (endOf(head) !== ROWS_END) throw notWhole(head);
  return { empty: false, text: head.toString() };
}

/**
 * Reads the answer to execute_sql without the envelope around its rows: the client gets a new one.
 *
 * @throws WrongAnswerError
 */
export async function readSqlRows({ response, keep }: UpstreamAnswer): Promise<SqlAnswer> {
  const { head, rest } = await readBeginning(response, ENVELOPE_BYTES_MAX);
  const envelope = SQL_BEGIN.exec(beginOf(head));
  if (envelope === null) throw new WrongAnswerError(shownBeginning(head));
  const rows = head.subarray(envelope[0].length);
  const changed = envelope[1] === undefined ? undefined : Number(envelope[1]);
  if (rest !== null)
    return {
      rows: SOME_ROWS,
      changed,
      body: atClientsPace(withoutLastByte(new RowPieces(rows, rest, keep()))),
    };
  const end = endOf(rows);
  if (end !== ROWS_END && end !== NO_ROWS) throw notWhole(head);
  return { rows: rows.length > NO_ROWS.length ? SOME_ROWS : 0, changed, body: rows.subarray(0, -1) };
}

/** Callers only distinguish this from 0. */
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

/** Stays one piece behind: only then is the last byte known. */
function withoutLastByte(pieces: RowPieces): Pieces {
  let held: Uint8Array | null = new Uint8Array(0);
  return {
    async next() {
      while (held !== null) {
        const next = await pieces.next();
        const piece: Uint8Array = next === null ? held.subarray(0, -1) : held;
        held = next;
        if (piece.length > 0) return piece;
      }
      return null;
    },
    cancel: () => pieces.cancel(),
  };
}

/** An answer piece by piece. It breaks off unless it ends as rows do. */
class RowPieces implements Pieces {
  #first: Uint8Array | null;
  readonly #rest: BodyReader;
  readonly #release: () => void;
  /** Its last bytes so far. */
  #end = "";

  constructor(first: Uint8Array, rest: BodyReader, release: () => void) {
    this.#first = first;
    this.#rest = rest;
    this.#release = release;
  }

  /** @throws BrokenAnswerError the connection was lost, or nothing comes any more. */
  async next(): Promise<Uint8Array | null> {
    const piece = this.#first ?? (await this.#read());
    this.#first = null;
    if (piece !== null) this.#end = (this.#end + endOf(piece)).slice(-END_LENGTH);
    return piece;
  }

  async #read(): Promise<Uint8Array | null> {
    try {
      const { value, done } = await within(this.#rest.read(), PIECE_TIMEOUT_MS, () => {
        throw new Error(`the upstream sent nothing for ${PIECE_TIMEOUT_MS / 1000} s`);
      });
      if (!done) return value;
      if (this.#end !== ROWS_END && this.#end !== NO_ROWS)
        throw new Error("the upstream's answer ended before its end");
      this.#release();
      return null;
    } catch (error) {
      this.#release();
      // Not awaited: it may hang too.
      this.#rest.cancel().catch(() => {});
      throw new BrokenAnswerError(`the answer broke off: ${messageOf(error)}`, { cause: error });
    }
  }

  async cancel(): Promise<void> {
    this.#release();
    await this.#rest.cancel();
  }
}
