/** Reads a stream of bytes in the pieces that its reader wants. One read at a time. */
export class ByteSource {
  readonly #reader: { read(): Promise<{ value?: Uint8Array | undefined; done: boolean }> };
  /** Read but not yet handed out. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** null when the stream ended before. */
  async exactly(length: number): Promise<Uint8Array | null> {
    if (this.#rest.length >= length) return this.#take(length);
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const piece = await this.upTo(length - at);
      if (piece === null) return null;
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** What there is, at least one byte; null at the end of the stream. */
  async upTo(length: number): Promise<Uint8Array | null> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#reader.read();
      if (done || value === undefined) return null;
      this.#rest = value;
    }
    return this.#take(length);
  }

  #take(length: number): Uint8Array {
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}
