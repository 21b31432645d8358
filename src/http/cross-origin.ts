/**
 * Pages of other sites that the operator lets in (`--allow-origin`): the browser asks before it
 * sends their requests, and shows them answers, if the server says so.
 */

/** What a page may send beside what every page may. */
const ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID";
/** What a page may read of an answer's head. */
const EXPOSED_HEADERS =
  "Epoch, Next-Page-Token, Positions, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, Warnings, WWW-Authenticate";
/** How long a browser may keep the answer to its question. */
const MAX_AGE_S = 600;

export class AllowedOrigins {
  readonly #origins: ReadonlySet<string>;
  readonly #isAny: boolean;

  /** @param origins `https://desk.example`, or `*` for every page. */
  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
    this.#isAny = origins.includes("*");
  }

  has(origin: string): boolean {
    return this.#isAny || this.#origins.has(origin);
  }

  /** Adds what the browser of such a page wants to see. */
  mark({ headers: asked }: Request, { headers }: Response): void {
    if (this.#origins.size === 0) return;
    // Also without it: a cache would give this answer to a page.
    headers.append("Vary", "Origin");
    const origin = asked.get("origin");
    if (origin === null || !this.has(origin)) return;
    headers.set("Access-Control-Allow-Origin", origin);
    headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  }

  /** The question of a browser before a page's request. Null: it is none, or of another page. */
  preflight({ method, headers }: Request, methods: readonly string[]): Response | null {
    const origin = headers.get("origin");
    if (method !== "OPTIONS" || origin === null || !this.has(origin)) return null;
    if (!headers.has("access-control-request-method")) return null;
    return new Response(null, {
      status: 204,
      headers: {
        "Access-Control-Allow-Methods": methods.join(", "),
        "Access-Control-Allow-Headers": ALLOWED_HEADERS,
        "Access-Control-Max-Age": String(MAX_AGE_S),
      },
    });
  }
}
