/** A WebSocket over bare TCP that looks at frames where they lie: reading must cost less than what is measured. */
import type { Socket } from "bun";
import { LOOPBACK } from "./load-plan.ts";
import { clientFrame, FrameReader, OPCODE_CLOSE, OPCODE_PING, OPCODE_TEXT } from "./ws-frames.ts";

/** Connections being opened at a time: well below a listener's backlog. */
export const OPENING_MAX = 50;

const OPCODE_PONG = 0xa;

export interface SubscriberHooks {
  /** The bytes are valid during the call only. */
  onText(bytes: Buffer, start: number, end: number): void;
  /** The connection is over, though nobody closed it here. */
  onLost(reason: string): void;
}

export class BareSubscriber {
  #closing = false;
  #upgraded = false;
  #head = Buffer.alloc(0);
  #socket: Socket | null = null;
  readonly #frames: FrameReader;
  readonly #hooks: SubscriberHooks;

  constructor(hooks: SubscriberHooks) {
    this.#hooks = hooks;
    this.#frames = new FrameReader((opcode, bytes, start, end) => this.#take(opcode, bytes, start, end));
  }

  /** Resolves when the connection is open, before it is a WebSocket. */
  async open(port: number, query: string): Promise<void> {
    const key = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
    this.#socket = await Bun.connect({
      hostname: LOOPBACK,
      port,
      socket: {
        open: (socket) => {
          this.#socket = socket;
          socket.write(
            `GET /ws?${query} HTTP/1.1\r\nHost: ${LOOPBACK}:${port}\r\nUpgrade: websocket\r\n` +
              `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
          );
        },
        data: (_, bytes) => this.#feed(bytes),
        close: () => this.#lost("closed by the server"),
        error: (_, error) => this.#lost(error.message),
      },
    });
  }

  close(): void {
    this.#closing = true;
    this.#socket?.terminate();
  }

  #feed(bytes: Buffer): void {
    try {
      if (this.#upgraded) this.#frames.feed(bytes);
      else this.#readHandshake(bytes);
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
    }
  }

  #readHandshake(bytes: Buffer): void {
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = this.#head.toString("latin1", 0, end);
    if (!head.startsWith("HTTP/1.1 101")) throw new Error(`no upgrade: ${head.split("\r\n")[0]}`);
    this.#upgraded = true;
    const rest = this.#head.subarray(end + 4);
    if (rest.length > 0) this.#frames.feed(rest);
  }

  #take(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === OPCODE_TEXT) this.#hooks.onText(bytes, start, end);
    if (opcode === OPCODE_PING) this.#socket!.write(clientFrame(OPCODE_PONG, bytes.subarray(start, end)));
    if (opcode === OPCODE_CLOSE) throw new Error("close frame");
  }

  #lost(reason: string): void {
    if (!this.#closing) this.#hooks.onLost(reason);
  }
}
