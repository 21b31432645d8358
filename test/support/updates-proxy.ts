/**
 * A server seen through a proxy that passes its commands on, and does to its WebSockets as it is
 * told. It may lie under a path of its own, and want a name and password.
 */
import type { ServerWebSocket } from "bun";
import type { RunningServer } from "./server.ts";

/** `pass` them on, accept them and be `mute`, or send the same to each. */
export type Sockets = "pass" | "mute" | { send: string | Uint8Array<ArrayBuffer> };

interface Pipe {
  target: string;
  upstream: WebSocket | null;
}

export interface UpdatesProxyOptions {
  /** What stands before the server's own paths. */
  path?: string;
  /** `NAME:PASSWORD`; default: anybody. */
  user?: string;
}

export function updatesProxy(server: RunningServer, { path = "", user }: UpdatesProxyOptions = {}) {
  const authorization = user === undefined ? null : `Basic ${btoa(user)}`;
  let refused = 0;
  let sockets: Sockets = "pass";
  let updatesOf = server;
  const pipes = new Set<ServerWebSocket<Pipe>>();
  const proxy = Bun.serve<Pipe>({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request, self) {
      if (authorization !== null && request.headers.get("authorization") !== authorization) {
        refused++;
        return new Response("<h1>who are you?</h1>", { status: 401, statusText: "Unauthorized" });
      }
      const { pathname, search } = new URL(request.url);
      if (!pathname.startsWith(`${path}/`)) return new Response("", { status: 404 });
      const own = pathname.slice(path.length) + search;
      if (request.headers.has("upgrade")) {
        self.upgrade(request, { data: { target: updatesOf.wsUrl + own, upstream: null } });
        return undefined;
      }
      const answer = await fetch(server.url + own, {
        method: request.method,
        headers: { "content-type": request.headers.get("content-type") ?? "" },
        ...(request.method === "POST" ? { body: await request.bytes() } : {}),
      });
      return new Response(await answer.bytes(), {
        status: answer.status,
        headers: { "content-type": answer.headers.get("content-type") ?? "" },
      });
    },
    websocket: {
      open(socket) {
        pipes.add(socket);
        if (typeof sockets === "object") socket.send(sockets.send);
        if (sockets !== "pass") return;
        const upstream = new WebSocket(socket.data.target);
        upstream.onmessage = ({ data }) => void socket.send(data as string);
        socket.data.upstream = upstream;
      },
      message: (socket, text) => socket.data.upstream?.send(text),
      close(socket) {
        pipes.delete(socket);
        socket.data.upstream?.close();
      },
    },
  });
  return {
    port: proxy.port!,
    /** Requests without the name and password. */
    get refused() {
      return refused;
    },
    /** From here on, also those that are open. @param of the server whose updates are told. */
    treat(next: Sockets, of = server): void {
      sockets = next;
      updatesOf = of;
      for (const socket of pipes) socket.close();
    },
    /** Those that are open stay open and answer pings, and nothing else. */
    silence(): void {
      for (const socket of pipes) if (socket.data.upstream !== null) socket.data.upstream.onmessage = null;
    },
    [Symbol.dispose]: () => void proxy.stop(true),
  };
}
