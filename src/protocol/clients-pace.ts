/** Answers that are taken from their source no faster than the client takes them. */

const encoder = new TextEncoder();

export interface Pieces {
  /** Null at the end. */
  next(): Uint8Array | null | Promise<Uint8Array | null>;
  /** The client wants no more. It is not called after the end, nor after an error of `next`. */
  cancel?(reason: unknown): unknown;
}

/** Takes nothing ahead of its reader. */
export function atClientsPace(pieces: Pieces): ReadableStream<Uint8Array> {
  let isCancelled = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = await pieces.next();
        // A stream that was cancelled meanwhile takes nothing more.
        if (isCancelled) return;
        if (piece === null) controller.close();
        else controller.enqueue(piece);
      },
      async cancel(reason) {
        isCancelled = true;
        await pieces.cancel?.(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

export function piecesIn(parts: readonly Uint8Array[]): Pieces {
  let at = 0;
  return { next: () => parts[at++] ?? null };
}

/** The pieces of an iterator, whose texts become UTF-8. */
export function piecesOf(chunks: AsyncIterator<string | Uint8Array>): Pieces {
  return {
    async next() {
      const { done, value } = await chunks.next();
      if (done) return null;
      return typeof value === "string" ? encoder.encode(value) : value;
    },
    cancel: () => chunks.return?.(),
  };
}

/** Unlike a generator, it cancels its pieces even if it is left before its first step. */
export function iterate(pieces: Pieces): AsyncIterableIterator<Uint8Array> {
  return {
    async next() {
      const value = await pieces.next();
      return value === null ? { done: true, value: undefined } : { done: false, value };
    },
    async return() {
      await pieces.cancel?.(undefined);
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
