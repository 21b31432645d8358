/** Rows as an answer: one text when small, a stream at the client's pace when large. */
import type { JsonRows } from "../storage/contract.ts";
import type { Answer } from "./context.ts";

const UTF8 = new TextEncoder();

export function toAnswer(rows: JsonRows, nothingFound: string): Answer {
  if (rows.empty) return `{"message":"${nothingFound}","data":[]}`;
  if ("text" in rows) return rows.text;
  const chunks = rows.chunks[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next();
        if (next.done) controller.close();
        else controller.enqueue(typeof next.value === "string" ? UTF8.encode(next.value) : next.value);
      },
      async cancel() {
        await chunks.return?.();
      },
    },
    // Nothing is read ahead of what the client takes.
    { highWaterMark: 0 },
  );
}
