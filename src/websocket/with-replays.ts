/** Bun has one handler for all WebSockets of a server: this one passes replays to theirs. */
import type { ServerWebSocket, WebSocketHandler } from "bun";
import type { ReplaySocket, ReplaySocketData, ReplaySockets } from "./replay-sockets.ts";

/** @param live handles every other socket; its limits apply to all. */
export function withReplays<Data extends object>(
  live: WebSocketHandler<Data>,
  replays: ReplaySockets,
): WebSocketHandler<Data | ReplaySocketData> {
  type Socket = ServerWebSocket<Data | ReplaySocketData>;
  const asLive = (socket: Socket): ServerWebSocket<Data> => socket as ServerWebSocket<Data>;
  return {
    ...(live as object),
    open: (socket) => (isReplay(socket) ? replays.open(socket) : live.open?.(asLive(socket))),
    message: (socket, message) =>
      isReplay(socket) ? replays.message(socket, message) : live.message?.(asLive(socket), message),
    drain: (socket) => (isReplay(socket) ? replays.drain(socket) : live.drain?.(asLive(socket))),
    ping: (socket, data) =>
      void (isReplay(socket) ? replays.heard(socket) : live.ping?.(asLive(socket), data)),
    pong: (socket, data) =>
      void (isReplay(socket) ? replays.heard(socket) : live.pong?.(asLive(socket), data)),
    close: (socket, code, reason) =>
      isReplay(socket) ? replays.close(socket) : live.close?.(asLive(socket), code, reason),
  };
}

function isReplay(socket: ServerWebSocket<object>): socket is ReplaySocket {
  return "kind" in socket.data && socket.data.kind === "replay";
}
