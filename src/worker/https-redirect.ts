/** What `--redirect-port` answers in plain HTTP: where the same is under https. */
import { jsonResponse } from "../http/responses.ts";
import { isHandshake } from "../http/upgrade.ts";
import { STATUS } from "../protocol/codes.ts";

const PERMANENT_REDIRECT = 308;
const HTTPS_PORT = 443;
const CLOSING = { Connection: "close" };

/** @param port of https. @param acceptsHost nobody is sent to a name of somebody else's. */
export function redirectToHttps(
  port: number,
  acceptsHost: (host: string) => boolean,
): (request: Request) => Response {
  return (request) => {
    const { headers, url } = request;
    const host = headers.get("host");
    if (host === null) return refusal(STATUS.badRequest, "Host: got none, expected the name of this server");
    if (!acceptsHost(host))
      return refusal(
        STATUS.forbidden,
        "Host: expected an address, localhost or a name given with --allow-host",
      );
    const origin = `https://${withoutPort(host)}${port === HTTPS_PORT ? "" : `:${port}`}`;
    if (isHandshake(headers))
      return refusal(STATUS.upgradeRequired, `WebSockets need TLS here: ${origin.replace("https", "wss")}`);
    // A client may send the address of another host in place of a path.
    const { pathname, search } = new URL(url, "http://localhost");
    const location = `${origin}${pathname}${search}`;
    const headersTold = { Location: location, "Cache-Control": "no-store", ...CLOSING };
    return new Response(null, { status: PERMANENT_REDIRECT, headers: headersTold });
  };
}

function refusal(status: number, error: string): Response {
  const upgrade = status === STATUS.upgradeRequired ? { Upgrade: "TLS/1.2, HTTP/1.1" } : {};
  return jsonResponse({ error }, status, { ...CLOSING, ...upgrade });
}

function withoutPort(host: string): string {
  return host.replace(/:\d{1,5}$/, "");
}
