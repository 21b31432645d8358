/**
 * One HTTP exchange over a bare socket. `fetch` would tidy up what the transcripts are about: paths
 * with dots, a GET with a body, unknown methods, malformed requests.
 */
import { connect, type Socket } from "node:net";

export interface HttpAnswer {
  /** 0: the server said nothing, or closed the connection without a word. */
  status: number;
  /** Names in lower case. */
  headers: Map<string, string>;
  /** Without chunking. */
  body: Buffer;
  /** What came after the first answer. */
  rest: Buffer;
  /** The server closed the connection. */
  closed: boolean;
}

export interface ExchangeOptions {
  port: number;
  request: Uint8Array;
  /** The answer to HEAD has no body, whatever its Content-Length says. */
  isHead: boolean;
  /** Read on after the first answer until the server closes. */
  untilClosed: boolean;
  /** Gives up, with what has come, after this long. */
  deadlineMs: number;
}

export async function exchange(options: ExchangeOptions): Promise<HttpAnswer> {
  const socket = connect({ port: options.port, host: "127.0.0.1", noDelay: true });
  try {
    return await readAnswer(socket, options);
  } finally {
    socket.destroy();
  }
}

function readAnswer(socket: Socket, options: ExchangeOptions): Promise<HttpAnswer> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      resolve({ ...(parseAnswer(received, options.isHead, closed) ?? silence(received)), closed });
    };
    const timer = setTimeout(() => finish(false), options.deadlineMs);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, Buffer.from(chunk)]);
      if (!options.untilClosed && parseAnswer(received, options.isHead, false) !== null) finish(false);
    });
    // A reset after the answer is how a server refuses the rest of a body: what came before it
    // counts.
    socket.on("error", () => finish(true));
    socket.on("close", () => finish(true));
    socket.on("end", () => finish(true));
    socket.write(options.request);
  });
}

function silence(received: Buffer): Omit<HttpAnswer, "closed"> {
  return { status: 0, headers: new Map(), body: Buffer.alloc(0), rest: received };
}

/** null: not complete yet. An answer without a length ends with the connection. */
function parseAnswer(received: Buffer, isHead: boolean, closed: boolean): Omit<HttpAnswer, "closed"> | null {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd === -1) return null;
  const [statusLine = "", ...lines] = received.subarray(0, headEnd).toString("latin1").split("\r\n");
  const status = Number(statusLine.split(" ")[1]);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const after = received.subarray(headEnd + 4);
  if (isHead || status === 204 || (status >= 100 && status < 200)) {
    return { status, headers, body: Buffer.alloc(0), rest: after };
  }
  if (headers.get("transfer-encoding") === "chunked") {
    const unchunked = readChunks(after);
    return unchunked === null ? null : { status, headers, ...unchunked };
  }
  const length = headers.get("content-length");
  if (length === undefined) return closed ? { status, headers, body: after, rest: Buffer.alloc(0) } : null;
  if (after.length < Number(length)) return null;
  return { status, headers, body: after.subarray(0, Number(length)), rest: after.subarray(Number(length)) };
}

function readChunks(bytes: Buffer): { body: Buffer; rest: Buffer } | null {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd === -1) return null;
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16);
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return null;
    if (size === 0) return { body: Buffer.concat(parts), rest: bytes.subarray(next) };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = next;
  }
}
