/** Answers of the upstream as they go on to the client: nobody looks into a row. */
import type { JsonRows } from "../contract.ts";
import type { SqlAnswer } from "../user-sql-contract.ts";
import type { UpstreamAnswer } from "./upstream.ts";

/** An answer up to this size is held as a whole. */
const WHOLE_BYTES_MAX = 1024 * 1024;
/** How every answer without rows begins. */
const NOTHING_FOUND = '{"message":';
const DATA = Buffer.from('"data":');
/** More than what comes before the rows of an answer of execute_sql. */
const ENVELOPE_BYTES_MAX = 128;

type Source = ReadableStreamDefaultReader<Uint8Array>;

/** Of the commands that read bars or ticks. */
export async function readRows({ response, keep }: UpstreamAnswer): Promise<JsonRows> {
  if (isSmall(response)) return wholeRows(await response.text());
  const { head, source, ended } = await readHead(response, NOTHING_FOUND.length);
  const begin = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, NOTHING_FOUND.length));
  if (ended || begin.toString() === NOTHING_FOUND) {
    return wholeRows(Buffer.concat([head, await readRest(source)]).toString());
  }
  return { empty: false, chunks: chunksOf(head, source, keep()) };
}

/** Of execute_sql: what is around the rows is taken off, as whoever answers the client puts it on again. */
export async function readSqlRows({ response, keep }: UpstreamAnswer): Promise<SqlAnswer> {
  if (isSmall(response)) return wholeSqlRows(await response.bytes());
  const { head, source, ended } = await readHead(response, ENVELOPE_BYTES_MAX);
  if (ended) return wholeSqlRows(head);
  return { rows: SOME_ROWS, body: withoutLastByte(head.subarray(rowsStart(head)), source, keep()) };
}

/** Nobody asks how many, only whether there are any. */
const SOME_ROWS = 1;

function isSmall(response: Response): boolean {
  const length = response.headers.get("content-length");
  return response.body === null || (length !== null && Number(length) <= WHOLE_BYTES_MAX);
}

function wholeRows(text: string): JsonRows {
  return text.startsWith(NOTHING_FOUND) ? { empty: true } : { empty: false, text };
}

function wholeSqlRows(answer: Uint8Array): SqlAnswer {
  const body = answer.subarray(rowsStart(answer), -1);
  return { rows: body.length > "[]".length ? SOME_ROWS : 0, body };
}

/** @throws Error it is no answer to execute_sql. */
function rowsStart(answer: Uint8Array): number {
  const at = Buffer.from(answer.buffer, answer.byteOffset, answer.length).indexOf(DATA);
  if (at < 0 || at > ENVELOPE_BYTES_MAX) throw new Error("the upstream answered execute_sql without data");
  return at + DATA.length;
}

/** At least so many bytes, or all there are. */
async function readHead(
  response: Response,
  bytesMin: number,
): Promise<{ head: Uint8Array; source: Source; ended: boolean }> {
  const source = response.body!.getReader() as Source;
  const pieces: Uint8Array[] = [];
  let size = 0;
  while (size < bytesMin) {
    const { value, done } = await source.read();
    if (done) return { head: Buffer.concat(pieces), source, ended: true };
    pieces.push(value);
    size += value.length;
  }
  return { head: pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces), source, ended: false };
}

async function readRest(source: Source): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const { value, done } = await source.read();
    if (done) return Buffer.concat(pieces);
    pieces.push(value);
  }
}

/**
 * At the pace of whoever takes them: the upstream is held up meanwhile. Not a generator: one that was never begun would
 * not give its connection back on `return()`.
 */
function chunksOf(head: Uint8Array, source: Source, release: () => void): AsyncIterableIterator<Uint8Array> {
  let first: Uint8Array | null = head;
  return {
    async next() {
      if (first !== null) {
        const value = first;
        first = null;
        return { done: false, value };
      }
      const { value, done } = await readOrRelease(source, release);
      return done ? { done: true, value: undefined } : { done: false, value };
    },
    async return() {
      release();
      await source.cancel();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Always one piece behind, so that the last byte is known when it comes. */
function withoutLastByte(head: Uint8Array, source: Source, release: () => void): ReadableStream<Uint8Array> {
  let held = head;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          const { value, done } = await readOrRelease(source, release);
          const piece = done ? held.subarray(0, -1) : held;
          if (piece.length > 0) controller.enqueue(piece);
          if (done) return controller.close();
          held = value;
          if (piece.length > 0) return;
        }
      },
      async cancel() {
        release();
        await source.cancel();
      },
    },
    { highWaterMark: 0 },
  );
}

/** @throws Error the connection was lost: whoever has the first part must not take it for the whole. */
async function readOrRelease(source: Source, release: () => void): ReturnType<Source["read"]> {
  try {
    const next = await source.read();
    if (next.done) release();
    return next;
  } catch (error) {
    release();
    throw error;
  }
}
