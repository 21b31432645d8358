/** A WebSocket client that has stopped reading, so that the server's frames for it pile up. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { waitUntil } from "./server.ts";
import { clientFrame, OPCODE, readFrame } from "./web-socket-frames.ts";

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

  sendText(text: string): void {
    this.#socket.write(clientFrame(OPCODE.text, text));
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
      if (frame.opcode === OPCODE.text) texts.push(frame.payload.toString());
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
