/** The connection of one worker to its upstream. See DESIGN.md. */
import { ownKeyHeaders } from "../../access/own-key.ts";
import type { UpstreamUrl } from "../../config/upstream-url.ts";
import type { LogLines } from "../../observe/log.ts";
import { STATUS } from "../../protocol/codes.ts";
import { clientGone, RequestError, timeIsUp, unavailable } from "../../protocol/errors.ts";
import { JSON_TYPE } from "../../protocol/media-types.ts";
import {
  IDEMPOTENCY_HEADER,
  SAVE_ID_HEADER,
  type SaveIdentity,
  writeSaveId,
} from "../../protocol/save-id.ts";
import { passVia, VIA_HEADER } from "../../protocol/via.ts";
import { type Backoff, backoffMs, jittered } from "../../time/pauses.ts";
import { PARSED_BYTES_MAX } from "./answer-body.ts";
import { lossReason } from "./loss-reason.ts";
import { ForeignRefusal, readRefusal } from "./refusal.ts";
import { Slots } from "./slots.ts";
import { readHealth } from "./upstream-health.ts";
import { requireJson, WrongAnswerError } from "./wrong-answer.ts";

/** Requests wait so long, counted from when the upstream went away. */
const AWAY_WAIT_MAX_MS = 5_000;
const RETRY: Backoff = { firstMs: 25, maxMs: 500 };
const PROBE_TIMEOUT_MS = 3_000;
/** Codes of failures before anything was sent. */
const NOT_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

export interface UpstreamOptions {
  url: UpstreamUrl;
  connectionsMax: number;
  /** Identifies this server among all; its workers share it. */
  serverId: string;
  /** Limit for an answer that is parsed; default PARSED_BYTES_MAX. */
  parsedBytesMax?: number;
  log: LogLines;
}

export interface UpstreamRequest {
  /** Begins error messages: "save". */
  what: string;
  path: string;
  /** Of the body; default JSON. */
  type?: string;
  /** Sent by POST; null for GET. */
  body: string | Uint8Array<ArrayBuffer> | null;
  /** The body is packed with gzip. */
  packed?: boolean;
  saveId?: SaveIdentity | undefined;
  /** Of the client. */
  idempotencyKey?: string | undefined;
  /** Sending it twice does the same as once. */
  repeatable: boolean;
  /** Ends the error of a request that was sent and not answered: "; whether … is unknown". */
  effect: string;
  hint?: string;
  /** It may take long; see Slots. */
  long: boolean;
  /** Limit until the answer begins, or is read if it is read whole. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface UpstreamAnswer {
  /** Status 200. */
  response: Response;
  parsedBytesMax: number;
  /**
   * Lets the body be read after `read` has returned, without a time limit.
   *
   * @returns must be called at the body's end.
   */
  keep(): () => void;
}

class ConnectionLost extends RequestError {
  /** The upstream may have got a part of the request. */
  readonly sent: boolean;

  constructor(reason: string, sent: boolean) {
    super(STATUS.unavailable, reason, { retryAfterS: 1 });
    this.sent = sent;
  }
}

export class Upstream {
  readonly url: UpstreamUrl;
  readonly #options: UpstreamOptions;
  readonly #slots: Slots;
  readonly #headers: Record<string, string>;
  /** It has answered since the last loss. */
  #trusted = false;
  #checking: Promise<void> | null = null;
  #awaySinceMs: number | null = null;
  #loopLogged = false;
  #brokenConnections = 0;
  #closed = false;
  /** Abort the exchanges under way. */
  readonly #cuts = new Set<AbortController>();

  constructor(options: UpstreamOptions) {
    this.url = options.url;
    this.#options = options;
    this.#slots = new Slots(options.connectionsMax);
    const { authorization } = options.url;
    this.#headers = authorization === null ? ownKeyHeaders() : { Authorization: authorization };
  }

  /** Needed by every request and every WebSocket to the upstream. */
  get headers(): Record<string, string> {
    return this.#headers;
  }

  get figures() {
    return {
      active: this.#slots.active,
      waiting: this.#slots.waiting,
      broken: this.#brokenConnections,
      isAway: this.#awaySinceMs !== null,
    };
  }

  /**
   * @param read reads the answer, whose type is JSON; run again if the connection is lost
   *   meanwhile. Throws WrongAnswerError if another program made it.
   * @throws RequestError the upstream's own; 499 the client is gone, 502 it is no answer, 503 the
   *   upstream is away or too many requests wait, 504 it was too slow, 508 it leads back here.
   */
  async ask<T>(request: UpstreamRequest, read: (answer: UpstreamAnswer) => Promise<T>): Promise<T> {
    const waitUntilMs = (this.#awaySinceMs ?? performance.now()) + AWAY_WAIT_MAX_MS;
    let wasSent = false;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.ready();
        return await this.#exchange(request, read, wasSent);
      } catch (error) {
        const isLate = performance.now() > waitUntilMs;
        if (error instanceof WrongAnswerError) {
          this.#trusted = false;
          // A read has no outcome to settle: the client may ask again.
          if (isLate || request.effect === "" || !request.repeatable) throw wrongAnswer(request, error);
          wasSent = true;
        } else if (error instanceof ConnectionLost) {
          wasSent ||= error.sent;
          if (error.sent && !request.repeatable) throw lostInFlight(request, error);
          if (isLate) throw wasSent ? lostInFlight(request, error) : away(request, error);
        } else {
          throw wasSent ? withEffect(error, request) : error;
        }
      }
      await Bun.sleep(retryPauseMs(attempt));
      if (request.signal?.aborted) throw clientGone(request.what, wasSent ? request.effect : "");
    }
  }

  /**
   * Resolves when the upstream has answered since its connection was last lost.
   *
   * @throws RequestError 508 it leads back here, 503 it is away or unhealthy.
   */
  async ready(): Promise<void> {
    if (this.#trusted) return;
    this.#checking ??= this.#check(passVia(null, this.#options.serverId)).finally(() => {
      this.#checking = null;
    });
    await this.#checking;
  }

  /**
   * @param via the header of the request that causes this; null if a client's does.
   * @throws RequestError as ready.
   */
  async probe(via: string | null): Promise<void> {
    await this.#check(passVia(via, this.#options.serverId));
  }

  /** Called after a loss elsewhere: the next request asks first whether the upstream is there. */
  distrust(): void {
    this.#trusted = false;
  }

  close(): void {
    this.#closed = true;
    for (const cut of this.#cuts) cut.abort();
  }

  async #check(via: string): Promise<void> {
    try {
      const response = await fetch(`${this.url.http}/health`, {
        headers: { ...this.#headers, [VIA_HEADER]: via },
        redirect: "manual",
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
      });
      const health = await readHealth(response);
      if (health.kind === "unhealthy") throw health.refusal;
      if (health.kind === "stranger") throw this.#noteAway(health.finding);
    } catch (error) {
      this.#trusted = false;
      if (!(error instanceof RequestError)) throw this.#noteAway(lossReason(error));
      if (error.status === STATUS.circle && !this.#loopLogged) {
        this.#loopLogged = true;
        this.#options.log.error(`Upstream ${this.url.http}: ${error.message}; requests are refused with 508`);
      }
      throw error;
    }
    this.#loopLogged = false;
    this.#trusted = true;
    if (this.#awaySinceMs === null) return;
    const awayS = ((performance.now() - this.#awaySinceMs) / 1000).toFixed(1);
    this.#awaySinceMs = null;
    this.#options.log.info(`Upstream ${this.url.http} answers again after ${awayS} s`);
  }

  #noteAway(reason: string): ConnectionLost {
    if (this.#awaySinceMs === null && !this.#closed) {
      this.#awaySinceMs = performance.now();
      this.#options.log.warning(`Upstream ${this.url.http} doesn't answer: ${reason}`);
    }
    return new ConnectionLost(reason, false);
  }

  /** @param repeated an earlier try may have reached the upstream. */
  async #exchange<T>(
    request: UpstreamRequest,
    read: (answer: UpstreamAnswer) => Promise<T>,
    repeated: boolean,
  ): Promise<T> {
    const { signal, saveId, idempotencyKey } = request;
    const freeSlot = await this.#takeSlot(request);
    const cut = new AbortController();
    this.#cuts.add(cut);
    const cutOff = (): void => cut.abort();
    const timer = setTimeout(cutOff, request.timeoutMs);
    signal?.addEventListener("abort", cutOff);
    const release = (): void => {
      signal?.removeEventListener("abort", cutOff);
      this.#cuts.delete(cut);
      freeSlot();
    };
    let kept = false;
    try {
      if (signal?.aborted) throw clientGone(request.what);
      const response = await fetch(`${this.url.http}${request.path}`, {
        method: request.body === null ? "GET" : "POST",
        headers: {
          ...this.#headers,
          // It goes on as it comes.
          "Accept-Encoding": "identity",
          ...(request.body === null ? {} : { "Content-Type": request.type ?? JSON_TYPE }),
          ...(request.packed === true ? { "Content-Encoding": "gzip" } : {}),
          ...(idempotencyKey === undefined ? {} : { [IDEMPOTENCY_HEADER]: idempotencyKey }),
          ...(saveId === undefined
            ? {}
            : { [SAVE_ID_HEADER]: writeSaveId({ ...saveId, repeated: repeated || saveId.repeated }) }),
        },
        body: request.body,
        redirect: "manual",
        keepalive: request.repeatable,
        // Switches off Bun's own limit of five minutes.
        timeout: false,
        signal: cut.signal,
      } as RequestInit);
      await this.#requireAnswer(response, request);
      const keep = (): (() => void) => {
        kept = true;
        return release;
      };
      const { parsedBytesMax = PARSED_BYTES_MAX } = this.#options;
      return await read({ response, parsedBytesMax, keep });
    } catch (error) {
      if (kept) release();
      if (error instanceof WrongAnswerError) cut.abort();
      if (error instanceof RequestError || error instanceof WrongAnswerError) throw error;
      throw this.#explain(error, request, cut.signal.aborted);
    } finally {
      clearTimeout(timer);
      if (!kept) release();
    }
  }

  /** @throws RequestError a refusal. @throws WrongAnswerError it says neither yes nor no. */
  async #requireAnswer(response: Response, request: UpstreamRequest): Promise<void> {
    const { status } = response;
    if (status === 200) return requireJson(response);
    if (status < 300) throw new WrongAnswerError(`it has the status ${status}, expected 200`);
    const refusal = await readRefusal(response);
    throw refusal instanceof ForeignRefusal && status >= 500 ? withEffect(refusal, request) : refusal;
  }

  async #takeSlot(request: UpstreamRequest): Promise<() => void> {
    try {
      return await this.#slots.take(request);
    } catch (error) {
      throw request.signal?.aborted ? clientGone(request.what) : error;
    }
  }

  #explain(error: unknown, request: UpstreamRequest, isCut: boolean): Error {
    if (this.#closed) {
      return unavailable(`${request.what}: the server is stopping${request.effect}`, {
        retryAfterS: undefined,
      });
    }
    if (request.signal?.aborted) return clientGone(request.what, request.effect);
    this.#brokenConnections++;
    this.#trusted = false;
    if (isCut) {
      const seconds = request.timeoutMs / 1000;
      return timeIsUp(`${request.what}: the upstream did not answer within ${seconds} s${request.effect}`, {
        hint: request.hint,
      });
    }
    const code = (error as { code?: unknown }).code;
    return new ConnectionLost(lossReason(error), !NOT_SENT.has(String(code)));
  }
}

function lostInFlight(request: UpstreamRequest, error: ConnectionLost): RequestError {
  return unavailable(`${request.what}: the connection to the upstream was lost${request.effect}`, {
    details: error.message,
    hint: request.hint,
    // A program that heeds it repeats the request.
    retryAfterS: request.repeatable ? 1 : undefined,
  });
}

function wrongAnswer(request: UpstreamRequest, error: WrongAnswerError): RequestError {
  const { what, effect, repeatable } = request;
  const article = what === "save" ? "a save" : what;
  return new RequestError(
    effect === "" ? STATUS.wrongUpstream : STATUS.unavailable,
    `${what}: the upstream gave no answer to ${article}${effect}`,
    {
      details: `what came is none: ${error.message}`,
      hint: request.hint,
      retryAfterS: effect !== "" && repeatable ? 1 : undefined,
    },
  );
}

/** Adds to an error that an earlier try may have been carried out. A 4xx is the client's fault. */
function withEffect(error: unknown, request: UpstreamRequest): unknown {
  const { effect, repeatable } = request;
  if (!(error instanceof RequestError) || error.status < 500 || error.message.endsWith(effect)) return error;
  const { details, retryAfterS } = error;
  return new RequestError(error.status, `${error.message}${effect}`, {
    details,
    hint: request.hint,
    retryAfterS: repeatable ? retryAfterS : undefined,
  });
}

function away(request: UpstreamRequest, error: ConnectionLost): RequestError {
  return unavailable(`${request.what}: the upstream doesn't answer; nothing was sent`, error.message);
}

export function retryPauseMs(attempt: number): number {
  return jittered(backoffMs(RETRY, attempt));
}
