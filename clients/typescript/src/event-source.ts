/**
 * A connection to `/v1/stream`: server-sent events, read with `fetch`. So a key can be sent as a
 * header from everywhere, and what isn't asked for isn't read.
 */

import type { Connection } from "./connection.ts";
import { RequestError } from "./errors.ts";
import type { Frame } from "./updates.ts";

/** Where frames come from. One `next` at a time. */
export interface FrameSource {
  /** null: the connection has ended. Throws where it broke, or was refused. */
  next(): Promise<Frame[] | null>;
  close(): void;
}

const OPENING_MS = 30_000;

/** What is needed of a reader; platforms give theirs more. */
interface Pieces {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
}

export async function openEvents(
  server: Connection,
  query: URLSearchParams,
  { silenceMs, signal }: { silenceMs: number; signal: AbortSignal },
): Promise<FrameSource> {
  const abort = new AbortController();
  signal.addEventListener("abort", () => abort.abort(signal.reason), { signal: abort.signal });
  const within = <T>(ms: number, promise: Promise<T>): Promise<T> => {
    const timer = setTimeout(() => abort.abort(new Error(`the stream was silent for ${ms} ms`)), ms);
    return promise
      .catch((error) => {
        throw abort.signal.aborted ? abort.signal.reason : error;
      })
      .finally(() => clearTimeout(timer));
  };
  const { promise, done } = opened(server, query, abort);
  const reader = await within(OPENING_MS, promise);
  const decoder = new TextDecoder();
  let text = "";
  return {
    async next() {
      const piece = await within(silenceMs, reader.read());
      if (piece.done) return null;
      text += decoder.decode(piece.value, { stream: true });
      const end = text.lastIndexOf("\n\n");
      if (end < 0) return [];
      const events = text.slice(0, end).split("\n\n");
      text = text.slice(end + 2);
      return events.flatMap(framesOf);
    },
    close() {
      abort.abort();
      done();
    },
  };
}

/** The answer has no end, so its head is awaited alone. */
function opened(
  server: Connection,
  query: URLSearchParams,
  abort: AbortController,
): { promise: Promise<Pieces>; done(): void } {
  let done = (): void => undefined;
  const closed = new Promise<void>((resolve) => {
    done = resolve;
  });
  const promise = new Promise<Pieces>((resolve, reject) => {
    const ask = { path: "/v1/stream", query, signal: abort.signal, isEndless: true };
    server
      .once(ask, async (answer) => {
        resolve(answer.body!.getReader());
        await closed;
      })
      .catch(reject);
  });
  return { promise, done: () => done() };
}

function framesOf(event: string): Frame[] {
  const data: string[] = [];
  for (const line of event.split("\n")) if (line.startsWith("data: ")) data.push(line.slice("data: ".length));
  return data.length === 0 ? [] : [JSON.parse(data.join("\n"))];
}

/** Statuses that stay as they are, however often it is tried. */
export function isFinal(error: unknown): boolean {
  return error instanceof RequestError && error.status >= 400 && error.status < 500 && error.status !== 429;
}
