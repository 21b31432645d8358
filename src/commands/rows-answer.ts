/** Rows as an answer: one text when small, a stream when large. */
import type { JsonRows } from "../storage/contract.ts";
import type { Answer } from "./context.ts";

const UTF8 = new TextEncoder();

/** A stream holds a connection and its snapshot until it is read to its end or cancelled. */
export function toAnswer(rows: JsonRows, nothingFound: string): Answer {
  if (rows.empty) return `{"message":"${nothingFound}","data":[]}`;
  if ("text" in rows) return rows.text;
  return streamed(rows.chunks[Symbol.asyncIterator]());
}

function streamed(chunks: AsyncIterator<string | Uint8Array>): ReadableStream<Uint8Array> {
  let over = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next();
        // Cancelled meanwhile: the stream takes nothing more.
        if (over) return;
        if (next.done) controller.close();
        else controller.enqueue(typeof next.value === "string" ? UTF8.encode(next.value) : next.value);
      },
      async cancel() {
        over = true;
        await chunks.return?.();
      },
    },
    // Nothing is read ahead of what is taken.
    { highWaterMark: 0 },
  );
}
