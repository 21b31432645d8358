/** Rows as an answer: one text when small, a stream at the client's pace when large. */
import type { JsonRows } from "../storage/contract.ts";
import type { Answer } from "./context.ts";

/** A large answer holds a connection and its snapshot, which keeps the write-ahead log from starting anew. */
const STREAM_MAX_MS = 600_000;
const UTF8 = new TextEncoder();

/** @param streamMaxMs after which an answer that the client has not taken to its end is broken off. */
export function toAnswer(rows: JsonRows, nothingFound: string, streamMaxMs = STREAM_MAX_MS): Answer {
  if (rows.empty) return `{"message":"${nothingFound}","data":[]}`;
  if ("text" in rows) return rows.text;
  const chunks = rows.chunks[Symbol.asyncIterator]();
  let tooLate: Timer;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        tooLate = setTimeout(() => {
          void chunks.return?.();
          controller.error(new Error(`the answer was not taken within ${streamMaxMs / 1000} s`));
        }, streamMaxMs);
      },
      async pull(controller) {
        try {
          const next = await chunks.next();
          if (!next.done) {
            controller.enqueue(typeof next.value === "string" ? UTF8.encode(next.value) : next.value);
            return;
          }
        } catch (error) {
          clearTimeout(tooLate);
          throw error;
        }
        clearTimeout(tooLate);
        controller.close();
      },
      async cancel() {
        clearTimeout(tooLate);
        await chunks.return?.();
      },
    },
    // Nothing is read ahead of what the client takes.
    { highWaterMark: 0 },
  );
}
