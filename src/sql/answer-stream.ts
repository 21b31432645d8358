/** A large answer of a runner, taken at the pace of the client. */
import { atClientsPace } from "../protocol/clients-pace.ts";
import type { ByteSource } from "./byte-source.ts";
import { WINDOW_BYTES } from "./protocol.ts";

export interface LargeAnswer {
  source: ByteSource;
  bytes: number;
  /** Asks the runner for the next window. */
  more: () => void;
  /** Called once: `true` with the last byte, `false` when the rest is not wanted or lost. */
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
