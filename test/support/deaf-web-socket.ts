/** A WebSocket client that has stopped reading, so that the server's frames for it pile up. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { waitUntil } from "./server.ts";

export class DeafWebSocket implements Disposable {
  ended = false;
  readonly #socket: Socket;
  /** Bytes that came and are not taken yet, the answer to the handshake first. */
  #received = Buffer.alloc(0);
  #handshakeTaken = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Reads up to the first frame, and then nothing. @param query more of it, such as "&slow=gap" */
  static async open(port: number, symbol: string, query = ""): Promise<DeafWebSocket> {
    const socket = connect(port, "127.0.0.1");
    const deaf = new DeafWebSocket(socket);
    for (const event of ["error", "close", "end"]) {
      socket.on(event, () => {
        deaf.ended = true;
      });
    }
    await once(socket, "connect");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    deaf.#take = () => {
      deaf.#received = Buffer.concat([deaf.#received, ...chunks.splice(0)]);
    };
    socket.write(
      `GET /ws?symbol=${symbol}${query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await waitUntil("the first frame is here", () => {
      deaf.#take();
      return deaf.#received.length > 300;
    });
    socket.pause();
    return deaf;
  }

  /** A message of up to 125 bytes. */
  sendText(text: string): void {
    const payload = Buffer.from(text);
    // RFC 6455: a client masks; with zeros it changes nothing.
    this.#socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]));
  }

  /** Texts that have come in whole since the last call. */
  takeTexts(): string[] {
    this.#take();
    const texts: string[] = [];
    let at = 0;
    if (!this.#handshakeTaken) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0) return [];
      at = end + 4;
      this.#handshakeTaken = true;
    }
    for (;;) {
      const frame = readFrame(this.#received.subarray(at));
      if (frame === null) break;
      if (frame.opcode === TEXT) texts.push(frame.payload.toString());
      at += frame.length;
    }
    this.#received = Buffer.from(this.#received.subarray(at));
    return texts;
  }

  #take: () => void = () => undefined;

  /** Takes what is there and what comes; `ended` tells when the connection is over. */
  listenAgain(): void {
    this.#socket.resume();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

const TEXT = 1;

/** RFC 6455: a server's frame is not masked, and this server's are never in pieces. */
function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; length: number } | null {
  if (bytes.length < 2) return null;
  const short = bytes[1]!;
  const header = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < header) return null;
  const size =
    short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < header + size) return null;
  return { opcode: bytes[0]! & 15, payload: bytes.subarray(header, header + size), length: header + size };
}
