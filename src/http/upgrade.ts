import type { Server } from "bun";
import type { Caller } from "../access/key-ring.ts";
import { show } from "../commands/params.ts";
import type { Arrival } from "../connections/connection.ts";
import { STATUS } from "../protocol/codes.ts";
import { badRequest, forbidden, unavailable } from "../protocol/errors.ts";
import type { Destination } from "../websocket/unnamed-sockets.ts";
import type { Call } from "./call.ts";
import { jsonResponse } from "./responses.ts";
import type { AnySocketData } from "./router-options.ts";

/** What makes WebSockets of requests. */
interface Upgrading extends Partial<Destination> {
  /** @returns false when the handshake is incomplete. @throws RequestError */
  upgrade(
    request: Request,
    server: Server<AnySocketData>,
    parameters: URLSearchParams,
    by: { path: string; address: string; caller: Caller; arrival: Arrival },
  ): Promise<boolean>;
}

/** @returns undefined if it became a WebSocket. @throws RequestError 400, 403 or 503 if not. */
export async function upgrade(call: Call, sockets: Upgrading): Promise<Response | undefined> {
  const { request, server, path, query, address, caller, host } = call;
  const { guard, isDraining, descriptors, memory } = call.options;
  const { headers } = request;
  if (!isHandshake(headers)) {
    const response = jsonResponse(
      { error: `${path}: expected a WebSocket handshake (Upgrade: websocket)` },
      STATUS.upgradeRequired,
    );
    response.headers.set("Upgrade", "websocket");
    return response;
  }
  if (!guard.acceptsOrigin(headers.get("origin"), host)) {
    throw forbidden(
      `Origin: got ${show(headers.get("origin"))}, expected the server's own, or one given with --allow-origin`,
    );
  }
  if (isDraining()) throw unavailable("the worker is draining; connect again");
  if (descriptors.hasNoneForSocket())
    throw unavailable("the worker has no descriptor left for a WebSocket; connect again later");
  memory.admit(path);
  const parameters = new URLSearchParams(query);
  // Noted now, as Bun tells the peer of a request only.
  const { arrival } = call;
  const upgraded = call.isUnnamed
    ? call.options.unnamedSockets.upgrade(request, server, parameters, {
        ...{ path, address, arrival },
        // Routes that take a first message have one.
        destination: sockets as Destination,
      })
    : await sockets.upgrade(request, server, parameters, { path, address, caller, arrival });
  if (upgraded) return undefined;
  throw badRequest(
    `${path}: the WebSocket handshake is incomplete: expected Sec-WebSocket-Key and Sec-WebSocket-Version 13`,
  );
}

export function isHandshake(headers: Headers): boolean {
  return headers.get("upgrade")?.toLowerCase() === "websocket";
}
