/**
 * Messages over a stream socket: 4 bytes length of what follows, 4 bytes length of the JSON (both
 * little endian), the JSON in UTF-8, an attachment of raw bytes. Bun's `write` may take only a
 * part; the rest waits here for `drain`.
 */
import type { Socket } from "bun";

const HEADER_BYTES = 8;
/** A message holds a turn's saves; one has at most --max-body-mb (1,024), doubled by its frame. */
const MESSAGE_BYTES_MAX = 0x7fff_ffff;
const NO_BYTES = new Uint8Array(0);

export class MessageChannel<Out, In> {
  readonly #socket: Socket<unknown>;
  readonly #receive: (message: In, attachment: Buffer) => void;
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** Bytes that complete the message at the head of #partial; 0 while its header is incomplete. */
  #wanted = 0;

  /** @param receive its attachment is a view of a buffer that is reused: copy what is kept. */
  constructor(socket: Socket<unknown>, receive: (message: In, attachment: Buffer) => void) {
    this.#socket = socket;
    this.#receive = receive;
  }

  /** Bytes that the socket has not taken yet. */
  get backlogBytes(): number {
    return this.#unsentBytes;
  }

  send(message: Out, attachment: Uint8Array = NO_BYTES): void {
    const text = JSON.stringify(message);
    const length = Buffer.byteLength(text);
    const bytes = Buffer.allocUnsafe(HEADER_BYTES + length + attachment.length);
    bytes.writeUInt32LE(4 + length + attachment.length, 0);
    bytes.writeUInt32LE(length, 4);
    bytes.write(text, HEADER_BYTES, "utf8");
    bytes.set(attachment, HEADER_BYTES + length);
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
      const end = offset + 4 + length;
      if (end > chunk.length) {
        this.#wanted = end - offset;
        break;
      }
      const jsonEnd = offset + HEADER_BYTES + chunk.readUInt32LE(offset + 4);
      if (jsonEnd > end) throw new Error("a message that is shorter than its JSON");
      const message = JSON.parse(chunk.toString("utf8", offset + HEADER_BYTES, jsonEnd)) as In;
      this.#receive(message, chunk.subarray(jsonEnd, end));
      offset = end;
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
