/**
 * A WebSocket client over a bare socket (RFC 6455, permessage-deflate without context takeover): tests see every
 * frame, pongs too, and can send what no well-behaved client sends.
 */
import { connect, type Socket } from "node:net";
import { inflateRawSync } from "node:zlib";

const TEXT = 1;
const BINARY = 2;
const CONTINUATION = 0;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** The key of the example in RFC 6455, so its `Sec-WebSocket-Accept` is known. */
const HANDSHAKE_KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK = Buffer.from([1, 2, 3, 4]);

export type Message =
  | { kind: "text"; text: string }
  | { kind: "binary"; bytes: number }
  | { kind: "pong"; payload: string }
  | { kind: "close"; code: number; reason: string };

export interface Handshake {
  status: number;
  statusLine: string;
  /** Names in lower case. */
  headers: Map<string, string>;
}

export interface OpenOptions {
  port: number;
  path: string;
  headers?: Record<string, string>;
  offerCompression?: boolean;
}

export class BareWebSocket {
  handshake: Handshake | null = null;
  /** Messages in order of arrival; whoever reads them takes them out. */
  readonly messages: Message[] = [];
  /** The server's close frame, or null if there was none. */
  closeFrame: { code: number; reason: string } | null = null;
  /** The TCP connection has ended. */
  ended = false;
  #socket: Socket;
  #received = Buffer.alloc(0);
  #fragments: Buffer[] = [];
  #opcode = TEXT;
  #compressed = false;
  #closeSent = false;
  #answersClose: boolean;

  /** `answersClose` false leaves the server's close frame without an answer. */
  constructor(options: OpenOptions, answersClose = true) {
    this.#answersClose = answersClose;
    this.#socket = connect({ port: options.port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk) => this.#receive(Buffer.from(chunk)));
    const end = (): void => {
      this.ended = true;
    };
    this.#socket.on("error", end);
    this.#socket.on("end", end);
    this.#socket.on("close", end);
    const headers = {
      Host: `127.0.0.1:${options.port}`,
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Key": HANDSHAKE_KEY,
      "Sec-WebSocket-Version": "13",
      ...(options.offerCompression === true
        ? {
            "Sec-WebSocket-Extensions":
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
          }
        : {}),
      ...options.headers,
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    this.#socket.write(`GET ${options.path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  }

  sendText(text: string): void {
    this.#send(TEXT, Buffer.from(text));
  }

  sendBinary(payload: Buffer): void {
    this.#send(BINARY, payload);
  }

  ping(payload: string): void {
    this.#send(PING, Buffer.from(payload));
  }

  close(code: number): void {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.#closeSent = true;
    this.#send(CLOSE, payload);
  }

  /** Bytes as they are. */
  sendRaw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Drops the connection without a close frame. */
  drop(): void {
    this.#socket.destroy();
  }

  #send(opcode: number, payload: Buffer): void {
    const head =
      payload.length < 126
        ? Buffer.from([0x80 | opcode, 0x80 | payload.length])
        : Buffer.alloc(payload.length < 65_536 ? 4 : 10);
    if (head.length === 4) {
      head.writeUInt16BE(((0x80 | opcode) << 8) | (0x80 | 126));
      head.writeUInt16BE(payload.length, 2);
    } else if (head.length === 10) {
      head.writeUInt16BE(((0x80 | opcode) << 8) | (0x80 | 127));
      head.writeBigUInt64BE(BigInt(payload.length), 2);
    }
    const masked = Buffer.from(payload);
    for (let i = 0; i < masked.length; i++) masked[i] = (masked[i] ?? 0) ^ (MASK[i % 4] ?? 0);
    this.#socket.write(Buffer.concat([head, MASK, masked]));
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.handshake === null && !this.#readHandshake()) return;
    if (this.handshake?.status !== 101) return;
    while (this.#readFrame());
  }

  #readHandshake(): boolean {
    const end = this.#received.indexOf("\r\n\r\n");
    if (end === -1) return false;
    const [statusLine = "", ...lines] = this.#received.subarray(0, end).toString("latin1").split("\r\n");
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    this.#received = this.#received.subarray(end + 4);
    this.handshake = { status: Number(statusLine.split(" ")[1]), statusLine, headers };
    return true;
  }

  #readFrame(): boolean {
    const bytes = this.#received;
    if (bytes.length < 2) return false;
    const short = bytes.readUInt8(1) & 0x7f;
    const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < headBytes) return false;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < headBytes + length) return false;
    const first = bytes.readUInt8(0);
    this.#received = bytes.subarray(headBytes + length);
    this.#take(
      { isFinal: (first & 0x80) !== 0, isCompressed: (first & 0x40) !== 0, opcode: first & 0x0f },
      bytes.subarray(headBytes, headBytes + length),
    );
    return true;
  }

  #take(frame: { isFinal: boolean; isCompressed: boolean; opcode: number }, payload: Buffer): void {
    if (frame.opcode === CLOSE) this.#takeClose(payload);
    else if (frame.opcode === PING) this.#send(PONG, payload);
    else if (frame.opcode === PONG) this.messages.push({ kind: "pong", payload: payload.toString() });
    else this.#takeData(frame, payload);
  }

  #takeData(frame: { isFinal: boolean; isCompressed: boolean; opcode: number }, payload: Buffer): void {
    if (frame.opcode !== CONTINUATION) {
      this.#opcode = frame.opcode;
      this.#compressed = frame.isCompressed;
      this.#fragments = [];
    }
    this.#fragments.push(payload);
    if (!frame.isFinal) return;
    const whole = Buffer.concat(this.#fragments);
    const message = this.#compressed
      ? inflateRawSync(Buffer.concat([whole, Buffer.from([0, 0, 0xff, 0xff])]))
      : whole;
    this.messages.push(
      this.#opcode === TEXT
        ? { kind: "text", text: message.toString() }
        : { kind: "binary", bytes: message.length },
    );
  }

  #takeClose(payload: Buffer): void {
    // 1005 stands for a close frame without a code.
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    this.closeFrame = { code, reason: payload.subarray(2).toString() };
    this.messages.push({ kind: "close", ...this.closeFrame });
    if (this.#answersClose && !this.#closeSent) {
      this.#closeSent = true;
      this.#send(CLOSE, payload.subarray(0, 2));
    }
  }
}
