import type { Server } from "bun";
import type { Caller } from "../access/key-ring.ts";
import { show } from "../commands/params.ts";
import type { Arrival } from "../connections/connection.ts";
import { STATUS } from "../protocol/codes.ts";
import { badRequest, forbidden, unavailable } from "../protocol/errors.ts";
import type { Call } from "./call.ts";
import { jsonResponse } from "./responses.ts";
import type { AnySocketData } from "./router-options.ts";

/** What makes WebSockets of requests. */
interface Upgrading {
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
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") {
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
  // Noted now, as Bun tells the peer of a request only.
  const by = { path, address, caller, arrival: call.arrival };
  if (await sockets.upgrade(request, server, new URLSearchParams(query), by)) return undefined;
  throw badRequest(
    `${path}: the WebSocket handshake is incomplete: expected Sec-WebSocket-Key and Sec-WebSocket-Version 13`,
  );
}
