/**
 * Reads HTTP/1.1 answers from the bytes of one keep-alive connection, by Content-Length or chunked.
 * Deliberately little: no header objects, no body unless asked for, because the load generator must
 * not be what a benchmark measures.
 */

export interface Answer {
  status: number;
  /** Only when the body was wanted (`wantBody`), or the status isn't 200. */
  body: Uint8Array | null;
}

/**
 * The shape of the last answer that fitted one read; the next is nearly always the same but for its
 * values.
 */
interface Shape {
  totalBytes: number;
  headBytes: number;
  lengthAt: number;
  lengthText: Uint8Array;
}

type State = "head" | "body" | "chunk-size" | "chunk-data" | "chunk-end" | "trailer";

/** Longer heads than this are a broken stream. */
const HEAD_BYTES_MAX = 16_384;
const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_END = Buffer.from("\r\n");

export class AnswerReader {
  /** Set by the owner before an answer begins: keep its body. */
  wantBody = false;

  #state: State = "head";
  #status = 0;
  #keepsBody = false;
  #remaining = 0;
  #pending: Buffer | null = null;
  #body: Buffer[] = [];
  #shape: Shape | null = null;
  readonly #onAnswer: (answer: Answer) => void;

  constructor(onAnswer: (answer: Answer) => void) {
    this.#onAnswer = onAnswer;
  }

  /** @throws Error The stream isn't HTTP as described above. */
  feed(chunk: Buffer): void {
    if (this.#state === "head" && this.#pending === null && !this.wantBody && this.#fitsShape(chunk)) {
      this.#onAnswer({ status: 200, body: null });
      return;
    }
    let bytes = chunk;
    if (this.#pending !== null) {
      bytes = Buffer.concat([this.#pending, chunk]);
      this.#pending = null;
    }
    let offset = 0;
    while (offset < bytes.length) {
      const next = this.#step(bytes, offset);
      if (next < 0) {
        // Copied: Bun reuses the buffer of a read.
        this.#pending = Buffer.from(bytes.subarray(offset));
        if (this.#pending.length > HEAD_BYTES_MAX)
          throw new Error("an answer's head or chunk line has no end");
        return;
      }
      offset = next;
    }
  }

  #fitsShape(chunk: Buffer): boolean {
    const shape = this.#shape;
    if (shape === null || chunk.length !== shape.totalBytes) return false;
    // "HTTP/1.1 200"
    if (chunk[9] !== 50 || chunk[10] !== 48 || chunk[11] !== 48) return false;
    if (chunk[shape.headBytes - 1] !== 10 || chunk[shape.headBytes - 3] !== 10) return false;
    for (let i = 0; i < shape.lengthText.length; i++) {
      if (chunk[shape.lengthAt + i] !== shape.lengthText[i]) return false;
    }
    return true;
  }

  /**
   * Takes one piece from `offset` on. Returns where the next begins, or -1 when more bytes are
   * needed.
   */
  #step(bytes: Buffer, offset: number): number {
    switch (this.#state) {
      case "head":
        return this.#readHead(bytes, offset);
      case "body":
      case "chunk-data": {
        const taken = Math.min(this.#remaining, bytes.length - offset);
        if (this.#keepsBody) this.#body.push(Buffer.from(bytes.subarray(offset, offset + taken)));
        this.#remaining -= taken;
        if (this.#remaining === 0) {
          if (this.#state === "body") this.#finish();
          else this.#state = "chunk-end";
        }
        return offset + taken;
      }
      default:
        return this.#readLine(bytes, offset);
    }
  }

  #readHead(bytes: Buffer, offset: number): number {
    const end = bytes.indexOf(HEAD_END, offset);
    if (end < 0) return -1;
    const head = bytes.toString("latin1", offset, end);
    const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
    if (status === undefined) throw new Error(`not an HTTP/1.1 answer: ${JSON.stringify(head.slice(0, 80))}`);
    this.#status = Number(status);
    this.#keepsBody = this.wantBody || this.#status !== 200;
    const bodyAt = end + HEAD_END.length;
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    if (length !== null) {
      this.#remaining = Number(length[1]);
      this.#learnShape(
        bytes,
        offset,
        bodyAt,
        length.index + length[0].length - length[1]!.length,
        length[1]!,
      );
      if (this.#remaining === 0) this.#finish();
      else this.#state = "body";
    } else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#state = "chunk-size";
    } else {
      throw new Error("an answer has neither Content-Length nor chunks");
    }
    return bodyAt;
  }

  #learnShape(bytes: Buffer, offset: number, bodyAt: number, lengthAt: number, lengthText: string): void {
    const totalBytes = bodyAt - offset + this.#remaining;
    if (offset !== 0 || this.#status !== 200 || bytes.length !== totalBytes) return;
    this.#shape = { totalBytes, headBytes: bodyAt, lengthAt, lengthText: Buffer.from(lengthText) };
  }

  #readLine(bytes: Buffer, offset: number): number {
    const end = bytes.indexOf(LINE_END, offset);
    if (end < 0) return -1;
    if (this.#state === "chunk-size") {
      this.#remaining = Number.parseInt(bytes.toString("latin1", offset, end), 16);
      if (!Number.isFinite(this.#remaining)) throw new Error("a chunk has no readable size");
      this.#state = this.#remaining === 0 ? "trailer" : "chunk-data";
    } else if (this.#state === "chunk-end") {
      if (end !== offset) throw new Error("a chunk is longer than its size");
      this.#state = "chunk-size";
    } else if (end === offset) {
      this.#finish();
    }
    return end + LINE_END.length;
  }

  #finish(): void {
    const body = this.#keepsBody ? Buffer.concat(this.#body) : null;
    this.#body = [];
    this.#state = "head";
    this.#onAnswer({ status: this.#status, body });
  }
}
