/**
 * Messages over a stream socket: 4 bytes length of what follows, 4 bytes length of the JSON (both
 * little endian), the JSON in UTF-8, an attachment of raw bytes. Bun's `write` may take only a
 * part; the rest waits here for `drain`.
 */
import type { Socket } from "bun";

const HEADER_BYTES = 8;
/** A message holds a turn's saves; one has at most --max-body-mb (1,024), doubled by its frame. */
const MESSAGE_BYTES_MAX = 0x7fff_ffff;
const PARTIAL_BYTES = 64 * 1024;
/** A longer message's buffer is given back. */
const PARTIAL_BYTES_KEPT = 4 * 1024 * 1024;

export class MessageChannel<Out, In> {
  readonly #socket: Socket<unknown>;
  readonly #receive: (message: In, attachment: Buffer) => void;
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  /** A message that has come in part: the first `#partialBytes` of it. */
  #partial = Buffer.allocUnsafe(PARTIAL_BYTES);
  #partialBytes = 0;

  /** @param receive its attachment is a view of a buffer that is reused: copy what is kept. */
  constructor(socket: Socket<unknown>, receive: (message: In, attachment: Buffer) => void) {
    this.#socket = socket;
    this.#receive = receive;
  }

  /** Bytes that the socket has not taken yet. */
  get backlogBytes(): number {
    return this.#unsentBytes;
  }

  /** @param attachment or its parts, in order. */
  send(message: Out, attachment: Uint8Array | readonly Uint8Array[] = []): void {
    const text = JSON.stringify(message);
    const length = Buffer.byteLength(text);
    const parts = attachment instanceof Uint8Array ? [attachment] : attachment;
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const bytes = Buffer.allocUnsafe(HEADER_BYTES + length + size);
    bytes.writeUInt32LE(4 + length + size, 0);
    bytes.writeUInt32LE(length, 4);
    bytes.write(text, HEADER_BYTES, "utf8");
    let at = HEADER_BYTES + length;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    if (this.#unsentBytes > 0) {
      this.#keep(bytes);
      return;
    }
    const written = Math.max(0, this.#socket.write(bytes));
    if (written < bytes.length) this.#keep(bytes.subarray(written));
  }

  /** Call from the socket's `drain`. */
  drain(): void {
    while (this.#unsent.length > 0) {
      const bytes = this.#unsent[0]!;
      const written = Math.max(0, this.#socket.write(bytes));
      this.#unsentBytes -= written;
      if (written < bytes.length) {
        this.#unsent[0] = bytes.subarray(written);
        return;
      }
      this.#unsent.shift();
    }
  }

  /**
   * Call from the socket's `data`. Bun may reuse the buffer afterwards.
   *
   * @throws Error the bytes are no message, or `receive` threw; then close the connection.
   */
  data(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      const isBegin = this.#partialBytes === 0 && chunk.length - offset >= HEADER_BYTES;
      const end = isBegin ? offset + bytesOfMessage(chunk, offset) : Number.POSITIVE_INFINITY;
      if (end <= chunk.length) {
        this.#take(chunk.subarray(offset, end));
        offset = end;
      } else {
        offset = this.#gather(chunk, offset);
      }
    }
  }

  /** Takes what belongs to the message that comes in parts. @returns where that ends. */
  #gather(chunk: Buffer, offset: number): number {
    const has = this.#partialBytes;
    const wanted = has < HEADER_BYTES ? HEADER_BYTES : bytesOfMessage(this.#partial, 0);
    if (wanted > this.#partial.length) {
      const larger = Buffer.allocUnsafe(wanted);
      larger.set(this.#partial.subarray(0, has));
      this.#partial = larger;
    }
    const end = Math.min(chunk.length, offset + wanted - has);
    this.#partial.set(chunk.subarray(offset, end), has);
    this.#partialBytes = has + end - offset;
    if (this.#partialBytes < HEADER_BYTES || this.#partialBytes < bytesOfMessage(this.#partial, 0))
      return end;
    const message = this.#partial.subarray(0, this.#partialBytes);
    this.#partialBytes = 0;
    this.#take(message);
    if (this.#partial.length > PARTIAL_BYTES_KEPT) this.#partial = Buffer.allocUnsafe(PARTIAL_BYTES);
    return end;
  }

  /** @throws Error it is none. */
  #take(bytes: Buffer): void {
    const jsonEnd = HEADER_BYTES + bytes.readUInt32LE(4);
    if (jsonEnd > bytes.length) throw new Error("a message that is shorter than its JSON");
    const message = JSON.parse(bytes.toString("utf8", HEADER_BYTES, jsonEnd)) as In;
    this.#receive(message, bytes.subarray(jsonEnd));
  }

  #keep(bytes: Buffer): void {
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
  }
}

/** With its header. @throws Error it is no message's. */
function bytesOfMessage(bytes: Buffer, start: number): number {
  const length = bytes.readUInt32LE(start);
  if (length < 4 || length > MESSAGE_BYTES_MAX)
    throw new Error(`message of ${length} bytes between worker and hub`);
  return 4 + length;
}
