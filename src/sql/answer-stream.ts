/** A large answer on its way from a runner, at the pace of whoever reads it. */
import { atClientsPace } from "../protocol/clients-pace.ts";
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

  return atClientsPace({
    async next() {
      if (left === 0) return null;
      if (windowLeft === 0) {
        more();
        windowLeft = Math.min(WINDOW_BYTES, left);
      }
      const piece = await source.upTo(windowLeft);
      if (piece === null) {
        finish(false);
        throw new Error("the SQL runner ended before the end of its answer");
      }
      windowLeft -= piece.length;
      left -= piece.length;
      if (left === 0) finish(true);
      return piece;
    },
    cancel: () => finish(false),
  });
}
