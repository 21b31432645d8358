/**
 * A request on its way through the router. One is made for each request: it looks things up late.
 */
import type { Server } from "bun";
import { splitTarget } from "./path.ts";
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
