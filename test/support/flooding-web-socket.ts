/** A WebSocket client that sends without waiting for an answer, and reads all that comes. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { waitUntil } from "./server.ts";
import { clientFrame, OPCODE, readFrame } from "./web-socket-frames.ts";

/** Written before the event loop has its turn. */
const WRITE_BYTES = 64 * 1024;

export interface FloodingFrame {
  type?: string;
  code?: string;
  error?: string;
  symbol?: string;
  subscriptions?: { symbol: string; types: string[] }[];
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
  data?: any;
  seq?: number;
}

export class FloodingWebSocket implements Disposable {
  /** All texts, unless `only` was given: those that it keeps. */
  readonly frames: FloodingFrame[] = [];
  /** As the server said it first: to what comes after that it may say more. */
  closed: { code: number; reason: string } | null = null;
  /** The connection is over. */
  ended = false;
  pongs = 0;
  readonly #socket: Socket;
  readonly #keeps: (text: string) => boolean;
  #received: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, keeps: (text: string) => boolean) {
    this.#socket = socket;
    this.#keeps = keeps;
  }

  /**
   * @param path with its query.
   * @param options.only keeps these texts, where there are too many. options.from is the client's
   *   address.
   */
  static async open(
    port: number,
    path: string,
    options: { only?: (text: string) => boolean; from?: string } = {},
  ): Promise<FloodingWebSocket> {
    const { only = () => true, from } = options;
    const socket = connect({
      port,
      host: "127.0.0.1",
      ...(from === undefined ? {} : { localAddress: from }),
    });
    const client = new FloodingWebSocket(socket, only);
    for (const event of ["error", "close", "end"]) {
      socket.on(event, () => {
        client.ended = true;
      });
    }
    await once(socket, "connect");
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let answer = Buffer.alloc(0);
    const opened = Promise.withResolvers<void>();
    socket.on("data", (chunk: Buffer) => {
      if (answer.indexOf("\r\n\r\n") >= 0) {
        client.#take(chunk);
        return;
      }
      answer = Buffer.concat([answer, chunk]);
      const end = answer.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (answer.subarray(0, 12).toString() !== "HTTP/1.1 101") opened.reject(new Error(answer.toString()));
      opened.resolve();
      client.#take(answer.subarray(end + 4));
    });
    socket.once("close", () => opened.reject(new Error("closed before it was a WebSocket")));
    await opened.promise;
    return client;
  }

  get errors(): (string | undefined)[] {
    return this.frames.filter(({ type }) => type === "error").map(({ code }) => code);
  }

  send(message: object | string): void {
    const text = typeof message === "string" ? message : JSON.stringify(message);
    this.#socket.write(clientFrame(OPCODE.text, text));
  }

  /** Whole frames, or what is none. */
  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /**
   * Sends the bytes over and over, as fast as they are taken, until the server ends the connection.
   *
   * @throws Error it took `bytesMax` of them.
   */
  async flood(bytes: Buffer, bytesMax: number): Promise<void> {
    const once = Buffer.concat(Array.from({ length: Math.ceil(WRITE_BYTES / bytes.length) }, () => bytes));
    let sent = 0;
    while (!this.ended) {
      if (sent > bytesMax) throw new Error(`the server took ${sent} bytes`);
      sent += once.length;
      if (!this.#socket.write(once)) await waitUntil("it is taken", () => this.#isTaken);
      await new Promise(setImmediate);
    }
  }

  get #isTaken(): boolean {
    return this.ended || this.#socket.writableLength < WRITE_BYTES;
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (;;) {
      const frame = readFrame(this.#received);
      if (frame === null) return;
      const { opcode, payload } = frame;
      if (opcode === OPCODE.pong) this.pongs++;
      else if (opcode === OPCODE.close)
        this.closed ??= { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
      else if (opcode === OPCODE.text) {
        const text = payload.toString();
        if (this.#keeps(text)) this.frames.push(JSON.parse(text) as FloodingFrame);
      }
      this.#received = this.#received.subarray(frame.length);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
