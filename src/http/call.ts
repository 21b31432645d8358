/**
 * A request on its way through the router. One is made for each request: it looks things up late.
 */
import type { Server } from "bun";
import type { AnySocketData, RouterOptions } from "./router.ts";

export class Call {
  readonly request: Request;
  readonly server: Server<AnySocketData>;
  readonly options: RouterOptions;
  readonly path: string;
  /** Without its question mark. */
  readonly query: string;
  /**
   * Bun's idle time limit was taken off. That sticks to the connection, so it is not used again.
   */
  isUnlimited = false;
  #length: string | null | undefined;

  constructor(request: Request, server: Server<AnySocketData>, options: RouterOptions) {
    this.request = request;
    this.server = server;
    this.options = options;
    const { path, query } = splitTarget(request.url);
    this.path = path;
    this.query = query;
  }

  /** Of the client. */
  get address(): string {
    return this.server.requestIP(this.request)?.address ?? "-";
  }

  /** Bytes of the body as announced; null where they are not. */
  get announcedBytes(): number | null {
    if (this.#length === undefined) this.#length = this.request.headers.get("content-length");
    return this.#length === null ? null : Number(this.#length);
  }

  liftLimit(): void {
    this.server.timeout(this.request, 0);
    this.isUnlimited = true;
  }
}

/**
 * The decoded path and the query of a request target, whatever `Request.url` is: Bun leaves it
 * relative for a missing or bad Host.
 */
function splitTarget(url: string): { path: string; query: string } {
  const scheme = url.indexOf("://");
  // A fragment has no business in a request target; some clients send it all the same.
  const hash = url.indexOf("#");
  if (hash >= 0) url = url.slice(0, hash);
  const start = scheme < 0 ? 0 : url.indexOf("/", scheme + 3);
  if (start < 0) return { path: "/", query: "" };
  const mark = url.indexOf("?", start);
  const raw = mark < 0 ? url.slice(start) : url.slice(start, mark);
  return { path: raw.includes("%") ? decode(raw) : raw, query: mark < 0 ? "" : url.slice(mark + 1) };
}

function decode(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw; // not a route whatever it was meant to be
  }
}
