/** A large answer on its way from a runner, at the pace of whoever reads it. */
import type { ByteSource } from "./byte-source.ts";
import { WINDOW_BYTES } from "./protocol.ts";

export interface LargeAnswer {
  source: ByteSource;
  bytes: number;
  /** Asks the runner for the next window. */
  more: () => void;
  /**
   * Called once: the last byte has been handed over (`true`), or the rest is not wanted or lost.
   */
  done: (complete: boolean) => void;
}

/** Holds at most one window in memory. */
export function streamAnswer({ source, bytes, more, done }: LargeAnswer): ReadableStream<Uint8Array> {
  let left = bytes;
  let windowLeft = 0;
  let finished = false;

  function finish(complete: boolean): void {
    if (finished) return;
    finished = true;
    done(complete);
  }

  async function pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
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
    if (left > 0) return;
    controller.close();
    finish(true);
  }

  return new ReadableStream(
    { pull, cancel: () => finish(false) },
    // Nothing is read ahead.
    { highWaterMark: 0 },
  );
}
