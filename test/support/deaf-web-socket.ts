/** A WebSocket client that has stopped reading, so that the server's frames for it pile up. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { waitUntil } from "./server.ts";

export class DeafWebSocket implements Disposable {
  ended = false;
  readonly #socket: Socket;

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
    let received = 0;
    socket.on("data", (chunk) => {
      received += chunk.length;
    });
    socket.write(
      `GET /ws?symbol=${symbol}${query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await waitUntil("the first frame is here", () => received > 300);
    socket.pause();
    return deaf;
  }

  /** Throws away what is there and what comes; `ended` tells when the connection is over. */
  listenAgain(): void {
    this.#socket.resume();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
