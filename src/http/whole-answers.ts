/**
 * Bounds large answers that are made as a whole, such as updates with the frame of a large save.
 * Bun keeps unread bytes of a response without a bound, so these are handed over piece by piece.
 */
import { atClientsPace } from "../protocol/clients-pace.ts";
import { unavailable } from "../protocol/errors.ts";

/** The kernel's buffers hold this much for a client that doesn't read. */
export const LARGE_BYTES = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;

export class WholeAnswers {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes not handed over yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws RequestError 503 too many bytes of others wait. One answer always fits. */
  inPieces(answer: string | Uint8Array): ReadableStream<Uint8Array> {
    let left = typeof answer === "string" ? Buffer.byteLength(answer) : answer.length;
    if (this.#bytes > 0 && this.#bytes + left > this.#bytesMax)
      throw unavailable(
        `answer: ${this.#bytes} bytes of large answers are not handed over yet, expected at most ${this.#bytesMax} with this one; try again`,
      );
    const bytes = typeof answer === "string" ? Buffer.from(answer) : answer;
    let at = 0;
    this.#bytes += left;
    const release = (): void => {
      this.#bytes -= left;
      left = 0;
    };
    return atClientsPace({
      next() {
        if (at >= bytes.length) {
          release();
          return null;
        }
        at += PIECE_BYTES;
        return bytes.subarray(at - PIECE_BYTES, at);
      },
      cancel: release,
    });
  }
}
