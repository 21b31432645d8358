/** Rows as an answer: a text if small, a stream if large. */
import type { JsonRows } from "../storage/contract.ts";
import type { Answer } from "./context.ts";

const UTF8 = new TextEncoder();

/** A stream holds a connection and its snapshot until it ends or is cancelled. */
export function toAnswer(rows: JsonRows, nothingFound: string): Answer {
  if (rows.empty) return `{"message":"${nothingFound}","data":[]}`;
  if ("text" in rows) return rows.text;
  return streamed(rows.chunks[Symbol.asyncIterator]());
}

function streamed(chunks: AsyncIterator<string | Uint8Array>): ReadableStream<Uint8Array> {
  let cancelled = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next();
        // Cancelled meanwhile: the controller is closed.
        if (cancelled) return;
        if (next.done) controller.close();
        else controller.enqueue(typeof next.value === "string" ? UTF8.encode(next.value) : next.value);
      },
      async cancel() {
        cancelled = true;
        await chunks.return?.();
      },
    },
    // Reads nothing ahead of the client.
    { highWaterMark: 0 },
  );
}
