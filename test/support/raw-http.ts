/** Bytes to a server and back, for what `fetch` would not send. */
import { connect } from "node:net";

const DEADLINE_MS = 60_000;

export interface RawAnswer {
  status: number;
  /** In lower case. */
  headers: Map<string, string>;
  body: string;
}

/**
 * Sends the pieces one after the other and reads until there are as many answers as expected, or
 * the server closes.
 *
 * @param expected answers, each with a Content-Length.
 */
export async function rawExchange(
  port: number,
  pieces: (string | Uint8Array)[],
  expected = 1,
): Promise<RawAnswer[]> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  try {
    const { promise, resolve } = Promise.withResolvers<RawAnswer[]>();
    let received = "";
    const finish = (): void => resolve(parseAnswers(received));
    const timer = setTimeout(finish, DEADLINE_MS);
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (parseAnswers(received).length >= expected) finish();
    });
    // A reset may follow an answer to a request that was not read to its end.
    for (const event of ["error", "end", "close"]) socket.on(event, finish);
    for (const piece of pieces) socket.write(piece);
    return await promise.finally(() => clearTimeout(timer));
  } finally {
    socket.destroy();
  }
}

function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let from = 0;
  for (;;) {
    const end = text.indexOf("\r\n\r\n", from);
    if (end < 0) return answers;
    const [statusLine = "", ...lines] = text.slice(from, end).split("\r\n");
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const length = Number(headers.get("content-length") ?? 0);
    const body = text.slice(end + 4, end + 4 + length);
    if (body.length < length) return answers;
    answers.push({ status: Number(statusLine.split(" ")[1]), headers, body });
    from = end + 4 + length;
  }
}
