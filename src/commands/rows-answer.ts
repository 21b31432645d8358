/** Rows as an answer: one text when small, a stream at the client's pace when large. */
import type { JsonRows } from "../storage/contract.ts";
import type { Answer } from "./context.ts";

/** A large answer holds a connection and its snapshot, which keeps the write-ahead log from starting anew, and others from having them. */
const LIMITS = {
  /** Until it is taken to its end. */
  maxMs: 600_000,
  /** Without taking a piece, 300 KB or so: many clients that have stopped reading would shut out everybody else's large reads. */
  stallMs: 30_000,
};
const UTF8 = new TextEncoder();

/** @param limits beyond which an answer is broken off that its client does not take. */
export function toAnswer(rows: JsonRows, nothingFound: string, limits = LIMITS): Answer {
  if (rows.empty) return `{"message":"${nothingFound}","data":[]}`;
  if ("text" in rows) return rows.text;
  return streamed(rows.chunks[Symbol.asyncIterator](), limits);
}

function streamed(
  chunks: AsyncIterator<string | Uint8Array>,
  { maxMs, stallMs }: typeof LIMITS,
): ReadableStream<Uint8Array> {
  let tooLate: Timer;
  let stalled: Timer;
  let over = false;

  function breakOff(controller: ReadableStreamDefaultController<Uint8Array>, reason: string): void {
    end();
    void chunks.return?.();
    controller.error(new Error(reason));
  }

  function expectPull(controller: ReadableStreamDefaultController<Uint8Array>): void {
    stalled = setTimeout(
      () => breakOff(controller, `nothing of the answer was taken for ${stallMs / 1000} s`),
      stallMs,
    );
  }

  function end(): void {
    over = true;
    clearTimeout(tooLate);
    clearTimeout(stalled);
  }

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        tooLate = setTimeout(
          () => breakOff(controller, `the answer was not taken within ${maxMs / 1000} s`),
          maxMs,
        );
        expectPull(controller);
      },
      async pull(controller) {
        clearTimeout(stalled);
        let next: IteratorResult<string | Uint8Array>;
        try {
          next = await chunks.next();
        } catch (error) {
          end();
          throw error;
        }
        // Broken off or cancelled meanwhile: the stream takes nothing more.
        if (over) return;
        if (next.done) {
          end();
          controller.close();
          return;
        }
        expectPull(controller);
        controller.enqueue(typeof next.value === "string" ? UTF8.encode(next.value) : next.value);
      },
      async cancel() {
        end();
        await chunks.return?.();
      },
    },
    // Nothing is read ahead of what the client takes.
    { highWaterMark: 0 },
  );
}
