/**
 * A keep-alive connection that saves, over bare TCP: nothing in between that repeats a request by
 * itself.
 */
import { connect, type Socket } from "node:net";
import { type Answer, AnswerReader } from "../bench/http-answers.ts";

const ANSWER_MS = 60_000;

export interface SaveConnection {
  /**
   * One at a time.
   *
   * @throws Error The connection broke, or no answer came: nobody knows what became of it.
   */
  post(body: string): Promise<Answer>;
  close(): void;
}

/**
 * @param localAddress of the client, as a server tells clients apart.
 * @throws Error nobody listens.
 */
export async function openSaveConnection(port: number, localAddress = "127.0.0.1"): Promise<SaveConnection> {
  let waiting: PromiseWithResolvers<Answer> | null = null;
  let isBroken = false;
  const lose = (reason: string): void => {
    isBroken = true;
    waiting?.reject(new Error(reason));
  };
  const reader = new AnswerReader((answer) => waiting?.resolve(answer));
  const socket: Socket = connect({ host: "127.0.0.1", port, localAddress, noDelay: true });
  const connected = Promise.withResolvers<void>();
  socket.on("connect", () => connected.resolve());
  socket.on("data", (bytes: Buffer) => reader.feed(bytes));
  for (const event of ["close", "error"]) {
    socket.on(event, () => {
      connected.reject(new Error("the connection was closed"));
      lose("the connection was closed");
    });
  }
  await connected.promise;
  return {
    async post(body) {
      if (isBroken) throw new Error("the connection was closed");
      waiting = Promise.withResolvers<Answer>();
      const timer = setTimeout(() => lose("no answer"), ANSWER_MS);
      const head = `POST /db_command HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
      socket.write(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      try {
        return await waiting.promise;
      } finally {
        clearTimeout(timer);
        waiting = null;
      }
    },
    close() {
      waiting = null;
      socket.destroy();
    },
  };
}
