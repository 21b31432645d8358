/**
 * What stands where the upstream should be, or before it, and answers as it likes: byte for byte,
 * over a plain socket.
 */
import type { Socket } from "bun";

export interface Asked {
  path: string;
  /** The JSON of a POST; empty for GET. */
  body: string;
  headers: Record<string, string>;
}

/**
 * Everything that is sent; then the connection is closed, unless it says how long it is. An endless
 * one goes on for ever.
 */
export type Act = { send: string | Uint8Array; close?: boolean } | { endless: string };

export const HEALTHY = JSON.stringify({ status: "healthy", database: { db_type: "sqlite" } });

/** Whole, with its length. */
export function answered(
  body: string,
  { status = "200 OK", type = "application/json", more = "" } = {},
): Act {
  const contentType = type === "" ? "" : `Content-Type: ${type}\r\n`;
  return {
    send: `HTTP/1.1 ${status}\r\n${contentType}${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  };
}

export function wrongUpstream(act: (asked: Asked) => Act | Promise<Act>) {
  const asked: Asked[] = [];
  const peer = Bun.listen<{ text: string; left: Uint8Array | null; endless: boolean }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: "", left: null, endless: false };
      },
      async data(socket, chunk) {
        socket.data.text += chunk.toString();
        const [head = "", body = ""] = socket.data.text.split("\r\n\r\n");
        const headers = Object.fromEntries(
          [...head.matchAll(/^([\w-]+): (.*?)\r?$/gm)].map(([, name, value]) => [
            name!.toLowerCase(),
            value!,
          ]),
        );
        const length = Number(headers["content-length"] ?? 0);
        if (!socket.data.text.includes("\r\n\r\n") || Buffer.byteLength(body) < length) return;
        socket.data.text = "";
        const path = head.split(" ")[1]!;
        asked.push({ path, body, headers });
        const next = await act({ path, body, headers });
        if ("endless" in next) {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n${next.endless}`);
          socket.data.left = new Uint8Array(1024 * 1024).fill(0x20);
          socket.data.endless = true;
          flush(socket);
        } else {
          socket.write(next.send);
          if (next.close === true) socket.end();
        }
      },
      drain: flush,
    },
  });

  function flush(socket: Socket<{ left: Uint8Array | null; endless: boolean }>): void {
    const { left, endless } = socket.data;
    // A write that takes less than all is followed by `drain`.
    while (endless && left !== null && socket.write(left) === left.length);
  }

  return { port: peer.port, asked, [Symbol.dispose]: () => void peer.stop(true) };
}
