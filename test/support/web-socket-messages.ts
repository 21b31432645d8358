/** Messages of a server, put together from their frames. */
import { inflateRawSync } from "node:zlib";
import type { LiveFrame } from "./subscriber.ts";
import { OPCODE } from "./web-socket-frames.ts";

const FIN = 0x80;
const COMPRESSED = 0x40;
/** What permessage-deflate leaves off the end of a message (RFC 7692, 7.2.2). */
const DEFLATE_TAIL = Buffer.from([0, 0, 0xff, 0xff]);
/** Stands for a close frame without a code. */
const NO_CODE = 1005;

export interface Close {
  code: number;
  reason: string;
}

export class TextMessage {
  readonly kind = "text";
  readonly text: string;
  #json: LiveFrame | undefined;

  constructor(text: string) {
    this.text = text;
  }

  get json(): LiveFrame {
    this.#json ??= JSON.parse(this.text) as LiveFrame;
    return this.#json;
  }
}

export type SocketMessage =
  | TextMessage
  | { kind: "binary"; bytes: number }
  | { kind: "pong"; payload: string }
  | ({ kind: "close" } & Close);

/**
 * Of one connection: fragments add up, and what is compressed (without context takeover) is
 * inflated.
 */
export class MessageAssembler {
  #fragments: Buffer[] = [];
  /** First byte of the first fragment. */
  #first = 0;

  /** @returns null: the rest of the message is yet to come. The payload must not change later. */
  take(first: number, payload: Buffer): SocketMessage | null {
    const opcode = first & 0x0f;
    if (opcode === OPCODE.pong) return { kind: "pong", payload: payload.toString() };
    if (opcode === OPCODE.close) {
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : NO_CODE;
      return { kind: "close", code, reason: payload.subarray(2).toString() };
    }
    if (opcode !== OPCODE.continuation) {
      this.#first = first;
      this.#fragments = [];
    }
    this.#fragments.push(payload);
    if ((first & FIN) === 0) return null;
    const whole = this.#fragments.length === 1 ? payload : Buffer.concat(this.#fragments);
    this.#fragments = [];
    const isCompressed = (this.#first & COMPRESSED) !== 0;
    const message = isCompressed ? inflateRawSync(Buffer.concat([whole, DEFLATE_TAIL])) : whole;
    return (this.#first & 0x0f) === OPCODE.text
      ? new TextMessage(message.toString())
      : { kind: "binary", bytes: message.length };
  }
}
