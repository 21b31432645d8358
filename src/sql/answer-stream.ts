/** A large answer on its way from a runner to a client, at the client's pace. */
import type { ByteSource } from "./byte-source.ts";
import { WINDOW_BYTES } from "./protocol.ts";

/** A client that takes nothing for this long gives its runner back. */
const ANSWER_STALL_MS = 30_000;

export interface LargeAnswer {
  source: ByteSource;
  bytes: number;
  /** Asks the runner for the next window. */
  more: () => void;
  /** Called once: the last byte has been handed over (`true`), or the rest is not wanted or lost. */
  done: (complete: boolean) => void;
}

/** Holds at most one window in memory. */
export function streamAnswer({ source, bytes, more, done }: LargeAnswer): ReadableStream<Uint8Array> {
  let left = bytes;
  let windowLeft = 0;
  let finished = false;
  let stalled: Timer | undefined;

  function finish(complete: boolean): void {
    clearTimeout(stalled);
    if (finished) return;
    finished = true;
    done(complete);
  }

  function expectPull(controller: ReadableStreamDefaultController<Uint8Array>): void {
    stalled = setTimeout(() => {
      finish(false);
      controller.error(new Error(`nothing of the answer was taken for ${ANSWER_STALL_MS / 1000} s`));
    }, ANSWER_STALL_MS);
    stalled.unref();
  }

  async function pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    clearTimeout(stalled);
    if (windowLeft === 0) {
      more();
      windowLeft = Math.min(WINDOW_BYTES, left);
    }
    const piece = await source.upTo(windowLeft);
    // Cancelled meanwhile: the stream takes nothing more.
    if (finished) return;
    if (piece === null) {
      finish(false);
      controller.error(new Error("the SQL runner ended before the end of its answer"));
      return;
    }
    windowLeft -= piece.length;
    left -= piece.length;
    controller.enqueue(piece);
    if (left > 0) return expectPull(controller);
    controller.close();
    finish(true);
  }

  return new ReadableStream(
    { start: expectPull, pull, cancel: () => finish(false) },
    // Nothing is read ahead of the client.
    { highWaterMark: 0 },
  );
}
