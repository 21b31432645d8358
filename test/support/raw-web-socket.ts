/**
 * A WebSocket over bare TCP: it sees every frame, can send what no well-behaved client sends, and
 * stops reading when it is told to. With `onText` it reads where the bytes lie and keeps nothing.
 */
import type { Socket } from "bun";
import { waitUntil } from "./server.ts";
import type { LiveFrame } from "./subscriber.ts";
import { encodeFrame, FrameReader, OPCODE } from "./web-socket-frames.ts";
import { type Close, MessageAssembler, type SocketMessage, TextMessage } from "./web-socket-messages.ts";

const HANDSHAKE_MS = 30_000;
/** The key of the example in RFC 6455, whose `Sec-WebSocket-Accept` is known. */
const HANDSHAKE_KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ADDRESS = "127.0.0.1";
/** Written by `flood` before the event loop has its turn. */
const FLOOD_BYTES = 64 * 1024;

export interface RawWebSocketOptions {
  /** Of the handshake, beside its own or in place of them. */
  headers?: Record<string, string>;
  /** Of the client, as the server tells clients apart. */
  localAddress?: string;
  /** Of what it sends by `sendText`, `ping` and so on; default: zeros. */
  mask?: Uint8Array;
  /** Answers the server's close frame. Default: no. */
  answersClose?: boolean;
  /** Which messages stay in `messages`; default: all. */
  keeps?: (message: SocketMessage) => boolean;
  /** So many stay, the newest; default: all. */
  keepMax?: number;
  /** Takes each text in place of `messages`. The bytes are valid during the call only. */
  onText?: (bytes: Buffer, start: number, end: number) => void;
  /** The connection is over, or can't be read, though nobody ended it here. */
  onLost?: (reason: string) => void;
}

export interface HandshakeAnswer {
  status: number;
  statusLine: string;
  /** Names in lower case. */
  headers: Map<string, string>;
  /** As far as it had come. */
  text: string;
}

export class RawWebSocket implements Disposable {
  /** In order of arrival; whoever reads them may take them out. */
  readonly messages: SocketMessage[] = [];
  /** What the server said first, or null while there is none. */
  closeFrame: Close | null = null;
  /** The TCP connection is over. */
  ended = false;
  readonly #options: RawWebSocketOptions;
  readonly #frames: FrameReader;
  readonly #assembler = new MessageAssembler();
  readonly #answered = Promise.withResolvers<void>();
  #socket: Socket | null = null;
  #handshake: HandshakeAnswer | null = null;
  /** Of the handshake. */
  #head: Buffer = Buffer.alloc(0);
  #closeSent = false;
  /** Nothing that becomes of the connection is told any more. */
  #isLeft = false;
  /** What the kernel has not taken, and whoever waits until it has. */
  #unsent: Buffer[] = [];
  #drained: PromiseWithResolvers<void> | null = null;

  private constructor(options: RawWebSocketOptions) {
    this.#options = options;
    // It may fail before anybody waits for it.
    this.#answered.promise.catch(() => undefined);
    const { onText } = options;
    this.#frames =
      onText === undefined
        ? new FrameReader((_, bytes, start, end, first) => this.#takeAny(first, bytes, start, end), true)
        : new FrameReader((opcode, bytes, start, end, first) => {
            if (opcode === OPCODE.text) onText(bytes, start, end);
            else this.#takeAny(first, bytes, start, end);
          });
  }

  /** Resolves when it is a WebSocket. @throws Error It was refused, or there was no answer. */
  static async open(port: number, path: string, options: RawWebSocketOptions = {}): Promise<RawWebSocket> {
    const client = await RawWebSocket.ask(port, path, options);
    const { status, text } = client.handshake;
    if (status === 101) return client;
    client[Symbol.dispose]();
    throw new Error(`${path}: no WebSocket: ${text.slice(0, 300)}`);
  }

  /** Resolves with any answer to the handshake. @throws Error There was none. */
  static async ask(port: number, path: string, options: RawWebSocketOptions = {}): Promise<RawWebSocket> {
    const client = new RawWebSocket(options);
    await client.#connect(port, path);
    return client;
  }

  /** Has read no further than its first message, so that the server's frames for it pile up. */
  static async openDeaf(port: number, path: string): Promise<RawWebSocket> {
    const client = await RawWebSocket.open(port, path);
    await waitUntil("the first message is here", () => client.messages.length > 0);
    client.stopReading();
    return client;
  }

  get handshake(): HandshakeAnswer {
    return this.#handshake!;
  }

  get texts(): readonly string[] {
    return this.messages.filter((message) => message instanceof TextMessage).map(({ text }) => text);
  }

  /** The texts, read as JSON. */
  get frames(): readonly LiveFrame[] {
    return this.messages.filter((message) => message instanceof TextMessage).map(({ json }) => json);
  }

  /** Codes of the server's error frames. */
  get errors(): (string | undefined)[] {
    return this.frames.filter(({ type }) => type === "error").map(({ code }) => code);
  }

  /** Frames that have come since the last call, and are no longer in `messages`. */
  takeFrames(): readonly LiveFrame[] {
    const { frames } = this;
    this.messages.length = 0;
    return frames;
  }

  /** Bytes as they are. Resolves when the kernel has taken them, or the connection is over. */
  async send(bytes: Uint8Array): Promise<void> {
    if (this.ended) return;
    this.#unsent.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (this.#unsent.length === 1) this.#flush();
    if (this.#unsent.length === 0 || this.ended) return;
    this.#drained ??= Promise.withResolvers<void>();
    await this.#drained.promise;
  }

  /** @param message An object goes as JSON. */
  sendText(message: object | string): void {
    this.#sendFrame(OPCODE.text, typeof message === "string" ? message : JSON.stringify(message));
  }

  sendBinary(payload: Uint8Array): void {
    this.#sendFrame(OPCODE.binary, payload);
  }

  ping(payload: string): void {
    this.#sendFrame(OPCODE.ping, payload);
  }

  close(code: number): void {
    this.#closeSent = true;
    this.#sendFrame(OPCODE.close, Buffer.from([code >> 8, code & 0xff]));
  }

  stopReading(): void {
    this.#socket!.pause();
  }

  /** Takes what is there and what comes. */
  readAgain(): void {
    this.#socket!.resume();
  }

  /**
   * Sends the bytes over and over, as fast as they are taken, until the server ends the connection
   * or the time is over.
   *
   * @throws Error The server took more than `bytesMax` of them.
   */
  async flood(bytes: Uint8Array, bounds: { bytesMax: number } | { seconds: number }): Promise<void> {
    const times = Math.ceil(FLOOD_BYTES / bytes.length);
    const many = Buffer.concat(Array.from({ length: times }, () => bytes));
    const deadline = performance.now() + ("seconds" in bounds ? bounds.seconds * 1_000 : Infinity);
    const bytesMax = "bytesMax" in bounds ? bounds.bytesMax : Infinity;
    let sent = 0;
    while (!this.ended && performance.now() < deadline) {
      if (sent > bytesMax) throw new Error(`the server took ${sent} bytes`);
      sent += many.length;
      await this.send(many);
      // The socket's events need their turn even if the kernel takes everything.
      await new Promise(setImmediate);
    }
  }

  /** Drops the connection without a close frame. */
  [Symbol.dispose](): void {
    this.#isLeft = true;
    this.#socket?.terminate();
  }

  async #connect(port: number, path: string): Promise<void> {
    const { localAddress } = this.#options;
    const late = setTimeout(() => this.#end("no answer to the handshake"), HANDSHAKE_MS);
    try {
      this.#socket = await Bun.connect({
        hostname: ADDRESS,
        port,
        // Bun takes it, though its types don't name it.
        ...(localAddress === undefined ? {} : { localAddress }),
        socket: {
          open: (socket) => {
            this.#socket = socket;
            void this.send(Buffer.from(this.#request(port, path)));
          },
          data: (_, bytes) => this.#feed(bytes),
          drain: () => this.#flush(),
          end: () => this.#end("closed by the server"),
          close: () => this.#end("closed by the server"),
          error: (_, error) => this.#end(error.message),
        },
      });
      await this.#answered.promise;
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  #request(port: number, path: string): string {
    const headers = {
      Host: `${ADDRESS}:${port}`,
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Key": HANDSHAKE_KEY,
      "Sec-WebSocket-Version": "13",
      ...this.#options.headers,
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
  }

  #feed(bytes: Buffer): void {
    try {
      if (this.#handshake === null) this.#readHandshake(bytes);
      else if (this.#handshake.status === 101) this.#frames.feed(bytes);
    } catch (error) {
      // Thrown here it would end the connection, as if the server had ended it.
      if (this.#options.onLost === undefined) queueMicrotask(() => Promise.reject(error));
      else this.#lose(error instanceof Error ? error.message : String(error));
    }
  }

  #readHandshake(bytes: Buffer): void {
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [statusLine = "", ...lines] = this.#head.toString("latin1", 0, end).split("\r\n");
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    const status = Number(statusLine.split(" ")[1]);
    const text = this.#head.toString();
    this.#handshake = { status, statusLine, headers: new Map(headers), text };
    this.#answered.resolve();
    const rest = this.#head.subarray(end + 4);
    if (status === 101 && rest.length > 0) this.#frames.feed(rest);
  }

  #takeAny(first: number, bytes: Buffer, start: number, end: number): void {
    // Copied: Bun reuses the buffer of a read.
    const payload = Buffer.from(bytes.subarray(start, end));
    if ((first & 0x0f) === OPCODE.ping) {
      this.#sendFrame(OPCODE.pong, payload);
      return;
    }
    const message = this.#assembler.take(first, payload);
    if (message === null) return;
    if (message.kind === "close") this.#takeClose(message, payload);
    const { keeps, keepMax = Number.POSITIVE_INFINITY } = this.#options;
    if (keeps?.(message) === false) return;
    this.messages.push(message);
    if (this.messages.length > keepMax) this.messages.shift();
  }

  #takeClose({ code, reason }: Close, payload: Buffer): void {
    this.closeFrame ??= { code, reason };
    if (this.#options.answersClose === true && !this.#closeSent) {
      this.#closeSent = true;
      this.#sendFrame(OPCODE.close, payload.subarray(0, 2));
    }
    this.#lose("close frame");
  }

  #sendFrame(opcode: number, payload: Uint8Array | string): void {
    const { mask } = this.#options;
    void this.send(encodeFrame({ opcode, payload, ...(mask === undefined ? {} : { mask }) }));
  }

  #flush(): void {
    for (let bytes = this.#unsent[0]; bytes !== undefined; bytes = this.#unsent[0]) {
      // Less than 0: it is over, and `close` follows.
      const taken = Math.max(0, this.#socket!.write(bytes));
      if (taken < bytes.length) {
        this.#unsent[0] = bytes.subarray(taken);
        return;
      }
      this.#unsent.shift();
    }
    this.#drained?.resolve();
    this.#drained = null;
  }

  #end(reason: string): void {
    this.ended = true;
    this.#unsent = [];
    this.#drained?.resolve();
    this.#drained = null;
    this.#answered.reject(new Error(reason));
    this.#lose(reason);
  }

  #lose(reason: string): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#options.onLost?.(reason);
  }
}
