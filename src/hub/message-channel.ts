/**
 * Messages over a stream socket: 4 bytes of length (little endian), then that many bytes of UTF-8 JSON.
 * Bun's `write` may take only part of the bytes; the rest waits here, counted, for `drain`.
 */
import type { Socket } from "bun";

const HEADER_BYTES = 4;
/** A message is a turn's batch of saves; one save is at most --max-body-mb (1,024), doubled by its frame. */
const MESSAGE_BYTES_MAX = 0x7fff_ffff;

export class MessageChannel<Out, In> {
  readonly #socket: Socket<unknown>;
  readonly #receive: (message: In) => void;
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** Bytes that complete the message at the head of #partial; 0 while its header is incomplete. */
  #wanted = 0;

  constructor(socket: Socket<unknown>, receive: (message: In) => void) {
    this.#socket = socket;
    this.#receive = receive;
  }

  /** Bytes that the other side has not taken yet. */
  get backlogBytes(): number {
    return this.#unsentBytes;
  }

  send(message: Out): void {
    const text = JSON.stringify(message);
    const length = Buffer.byteLength(text);
    const bytes = Buffer.allocUnsafe(HEADER_BYTES + length);
    bytes.writeUInt32LE(length, 0);
    bytes.write(text, HEADER_BYTES, "utf8");
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

  /** Call from the socket's `data`; the buffer may be reused by Bun afterwards. */
  data(chunk: Buffer): void {
    if (this.#partialBytes > 0) {
      this.#partial.push(Buffer.from(chunk));
      this.#partialBytes += chunk.length;
      if (this.#partialBytes < HEADER_BYTES || (this.#wanted > 0 && this.#partialBytes < this.#wanted))
        return;
      chunk = Buffer.concat(this.#partial);
      this.#partial = [];
      this.#partialBytes = 0;
    }
    let offset = 0;
    this.#wanted = 0;
    while (chunk.length - offset >= HEADER_BYTES) {
      const length = chunk.readUInt32LE(offset);
      if (length > MESSAGE_BYTES_MAX) throw new Error(`message of ${length} bytes between worker and hub`);
      const end = offset + HEADER_BYTES + length;
      if (end > chunk.length) {
        this.#wanted = end - offset;
        break;
      }
      const message = JSON.parse(chunk.toString("utf8", offset + HEADER_BYTES, end)) as In;
      offset = end;
      this.#receive(message);
    }
    if (offset < chunk.length) {
      this.#partial = [Buffer.from(chunk.subarray(offset))];
      this.#partialBytes = chunk.length - offset;
    }
  }

  #keep(bytes: Buffer): void {
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
  }
}
