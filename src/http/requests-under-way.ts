/**
 * Requests that may take long: statements of users, questions of many rows, answers that stream.
 * The others pay nothing for it.
 */
import type { Arrival, ConnectionSource, OpenConnection } from "../connections/connection.ts";
import type { Meter } from "../metrics/traffic.ts";
import { STATUS } from "../protocol/codes.ts";
import { hasStatus } from "../protocol/errors.ts";
import { stoppedByOperator } from "../storage/stopped-sql.ts";

/** Of a statement's text, in a list. */
const SQL_SHOWN_MAX = 1_000;

/** The part of a call that is needed here. */
interface HeldCall {
  readonly request: Request;
  readonly path: string;
  readonly what: string;
  readonly address: string;
  readonly caller: { readonly name: string };
  readonly meter: Meter;
  readonly arrival: Arrival;
}

/** How much of an answer its client has taken, and how much waits for it in the spool. */
export interface AnswerProgress {
  takenBytes: number;
  waitingBytes: number;
}

export class RequestsUnderWay implements ConnectionSource {
  readonly #held = new Set<HeldRequest>();

  /** Until `answered`, and until each answer that it counts has gone. */
  hold(call: HeldCall, sql: string | null): HeldRequest {
    const held = new HeldRequest(call, sql, () => this.#held.delete(held));
    this.#held.add(held);
    return held;
  }

  *connections(): Iterable<OpenConnection> {
    for (const held of this.#held) yield held.shown();
  }
}

export class HeldRequest {
  readonly progress: AnswerProgress = { takenBytes: 0, waitingBytes: 0 };
  /** Aborts when an operator ends the request. */
  readonly ended: AbortSignal;
  readonly #call: HeldCall;
  /** Noted now: Bun tells the peer of a request no more once it is answered. */
  readonly #arrival: Arrival;
  readonly #sql: string | null;
  readonly #over: () => void;
  readonly #end = new AbortController();
  readonly #sinceMs = performance.now();
  #signal: AbortSignal | null = null;
  #isAnswered = false;
  #answers = 0;
  #whenOver: (() => void) | null = null;

  constructor(call: HeldCall, sql: string | null, over: () => void) {
    this.#call = call;
    this.#arrival = call.arrival;
    this.#sql = sql;
    this.#over = over;
    this.ended = this.#end.signal;
  }

  /** Aborts when an operator ends the request, or the client has gone. */
  get signal(): AbortSignal {
    this.#signal ??= AbortSignal.any([this.ended, this.#call.request.signal]);
    return this.#signal;
  }

  /** An answer that goes on when the response has been made. */
  answerBegins(): void {
    this.#answers++;
  }

  /** Its client has taken so many bytes of one. */
  answerTaken(bytes: number): void {
    this.progress.takenBytes += bytes;
    this.#call.meter.sent(bytes);
  }

  answerOver(): void {
    this.#answers--;
    this.#leaveIfOver();
  }

  /** The response has been made, or there was an error. */
  answered(): void {
    this.#isAnswered = true;
    this.#leaveIfOver();
  }

  /** @param act at once, where it is over. */
  whenOver(act: () => void): void {
    this.#whenOver = act;
    this.#leaveIfOver();
  }

  /** What the client is told of an error: it can't know that an operator was the cause. */
  errorFor(error: unknown): unknown {
    if (!this.ended.aborted) return error;
    if (hasStatus(error, STATUS.clientGone)) return stoppedByOperator(this.#call.what, error);
    return error;
  }

  shown(): OpenConnection {
    const { path, address, caller, what } = this.#call;
    const { takenBytes, waitingBytes } = this.progress;
    return {
      ...{ arrival: this.#arrival, path, address, key: caller.name },
      kind: this.#sql === null ? "request" : "sql",
      rank: () => ({ lagS: 0, queueBytes: waitingBytes }),
      details: () => ({
        what,
        ...(this.#sql === null ? {} : { sql: this.#sql.slice(0, SQL_SHOWN_MAX).toWellFormed() }),
        running_s: Math.round(performance.now() - this.#sinceMs) / 1_000,
        sent_bytes: takenBytes,
      }),
      end: (reason) => this.#end.abort(new Error(reason)),
    };
  }

  #leaveIfOver(): void {
    if (!this.#isAnswered || this.#answers > 0) return;
    this.#over();
    this.#whenOver?.();
  }
}
