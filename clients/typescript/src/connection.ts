/** Requests to the server: keys, time limits, and tries until one is answered. */
import { RequestError, StockDBError, UnreachableError } from "./errors.ts";
import { pauseAfter, sleep } from "./wait.ts";

export interface ConnectOptions {
  /** A key of `stock-db-server keys`, or what gives the one that is valid now. */
  key?: (string | (() => string | Promise<string>)) | undefined;
  /** How long a question or a save is tried while the server is away or busy. Default: 30,000. */
  retryForMs?: number | undefined;
  /** A request of which nothing has come for so long has failed. Default: 60,000. */
  timeoutMs?: number | undefined;
  /** Gets what the server warns of, such as a ticker without rows. Default: it is left aside. */
  onWarning?: ((warning: string) => void) | undefined;
  /** Default: that of the platform. */
  fetch?: typeof fetch | undefined;
}

export interface Ask {
  path: string;
  query?: URLSearchParams;
  /** Sent by POST. */
  body?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Default: that of the connection. */
  retryForMs?: number;
  /** Statuses beside 429, 502 and 503 that are worth another try. */
  retried?: readonly number[];
  onRetry?: (error: Error) => void;
  /** Only the head of the answer has a time limit. */
  isEndless?: boolean;
}

/** @param alive To be called when something has come. */
export type ReadAnswer<T> = (answer: Response, alive: () => void) => Promise<T>;

const RETRY_FOR_MS = 30_000;
const TIMEOUT_MS = 60_000;
const TOO_MANY = 429;
const BAD_GATEWAY = 502;
const UNAVAILABLE = 503;
const SHOWN_TEXT_MAX = 500;

export class Connection {
  readonly url: URL;
  readonly options: ConnectOptions;
  readonly #fetch: typeof fetch;

  constructor(url: string | URL, options: ConnectOptions) {
    this.url = new URL(url);
    if (!/^https?:$/.test(this.url.protocol))
      throw new StockDBError(`connect: got ${this.url.protocol}//…, expected http:// or https://`);
    // A base may have a path of its own.
    if (!this.url.pathname.endsWith("/")) this.url.pathname += "/";
    this.options = options;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  address(path: string, query?: URLSearchParams): URL {
    const address = new URL(path.slice(1), this.url);
    if (query !== undefined) address.search = query.toString();
    return address;
  }

  async key(): Promise<string | null> {
    const { key } = this.options;
    return (typeof key === "function" ? await key() : key) ?? null;
  }

  /**
   * Tries until an answer was read to its end.
   * @throws RequestError The server has refused. @throws UnreachableError No answer in time.
   */
  async ask<T>(ask: Ask, read: ReadAnswer<T>): Promise<T> {
    const retryForMs = ask.retryForMs ?? this.options.retryForMs ?? RETRY_FOR_MS;
    const deadline = performance.now() + retryForMs;
    for (let failures = 1; ; failures++) {
      try {
        return await this.once(ask, read);
      } catch (error) {
        ask.signal?.throwIfAborted();
        if (!(error instanceof Error) || !isWorthAnotherTry(error, ask.retried)) throw error;
        ask.onRetry?.(error);
        const asked = error instanceof RequestError ? error.retryAfterMs : null;
        const pauseMs = Math.max(asked ?? 0, pauseAfter(failures));
        if (performance.now() + pauseMs > deadline) throw gaveUp(this.address(ask.path), failures, error);
        await sleep(pauseMs, ask.signal);
      }
    }
  }

  /** One try. What breaks on the way is thrown as it is. */
  async once<T>(ask: Ask, read: ReadAnswer<T>): Promise<T> {
    const { body, signal } = ask;
    signal?.throwIfAborted();
    const abort = new AbortController();
    const stop = (): void => abort.abort(signal?.reason);
    signal?.addEventListener("abort", stop);
    const timeoutMs = this.options.timeoutMs ?? TIMEOUT_MS;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const alive = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(new Error(`nothing came for ${timeoutMs} ms`)), timeoutMs);
    };
    alive();
    try {
      const key = await this.key();
      const answer = await this.#fetch(this.address(ask.path, ask.query), {
        method: body === undefined ? "GET" : "POST",
        headers: { ...ask.headers, ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
        signal: abort.signal,
        redirect: "error",
        cache: "no-store",
        ...(body === undefined ? {} : { body }),
      });
      if (ask.isEndless) clearTimeout(timer);
      else alive();
      if (answer.status !== 200) throw await refusal(answer);
      return await read(answer, alive);
    } catch (error) {
      // Platforms differ in what they throw; the reason is what was given to abort().
      throw abort.signal.aborted ? abort.signal.reason : error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  warn(warnings: readonly string[]): void {
    for (const warning of warnings) this.options.onWarning?.(warning);
  }
}

/** Anything but an answer that refuses is a broken way to the server. */
function isWorthAnotherTry(error: Error, retried: readonly number[] = []): boolean {
  if (error instanceof RequestError)
    return [TOO_MANY, BAD_GATEWAY, UNAVAILABLE, ...retried].includes(error.status);
  return !(error instanceof StockDBError);
}

function gaveUp(address: URL, tries: number, error: Error): Error {
  if (error instanceof RequestError) return error;
  const { cause } = error;
  const because =
    cause instanceof Error && cause.message !== "" ? `${error.message}: ${cause.message}` : error.message;
  return new UnreachableError(`${address.origin}: no answer after ${tries} tries, ${because}`, {
    cause: error,
  });
}

async function refusal(answer: Response): Promise<RequestError> {
  const text = await answer.text();
  const seconds = Number(answer.headers.get("retry-after") ?? Number.NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : null;
  const { status } = answer;
  try {
    const { error, details, hint } = JSON.parse(text);
    return new RequestError(String(error), { status, details, hint, retryAfterMs });
  } catch {
    return new RequestError(`status ${status}: ${text.slice(0, SHOWN_TEXT_MAX)}`, { status, retryAfterMs });
  }
}
