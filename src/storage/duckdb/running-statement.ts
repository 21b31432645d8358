/** A statement of a user on its connection, and the ways in which it is stopped. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { RequestError } from "../../protocol/errors.ts";
import { stoppedAtLimit } from "../time-limit.ts";
import type { SqlMode } from "../user-sql-contract.ts";

export type StopReason = "time limit" | "client gone" | "saves first" | "server stopping";

/** An interrupt that falls between two calls is forgotten, so it is repeated until the statement is at its end. */
const INTERRUPT_EVERY_MS = 20;
/** For the access log: there is nobody to answer. */
const CLIENT_CLOSED_REQUEST = 499;

export interface StatementLimits {
  /** In all, of which `leftMs` are left, and `waitedMs` went by before it could begin. */
  timeoutMs: number;
  leftMs: number;
  waitedMs: number;
  signal: AbortSignal | undefined;
}

export class RunningStatement {
  readonly mode: SqlMode;
  /** Rejects when it is stopped, with what the client is told. */
  readonly stopped: Promise<never>;
  /** Resolves when it holds nothing any more. */
  readonly ended: Promise<void>;
  readonly #connection: DuckDBConnection;
  readonly #timeoutMs: number;
  readonly #waitedMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #deadline: Timer;
  readonly #reject: (error: RequestError) => void;
  readonly #resolveEnded: () => void;
  #interrupts: Timer | null = null;
  #stop: RequestError | null = null;
  #committing = false;

  constructor(
    connection: DuckDBConnection,
    { mode, timeoutMs, leftMs, waitedMs, signal }: { mode: SqlMode } & StatementLimits,
  ) {
    this.mode = mode;
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
    this.#waitedMs = waitedMs;
    this.#signal = signal;
    const stopped = Promise.withResolvers<never>();
    stopped.promise.catch(() => null);
    this.stopped = stopped.promise;
    this.#reject = stopped.reject;
    const ended = Promise.withResolvers<void>();
    this.ended = ended.promise;
    this.#resolveEnded = ended.resolve;
    this.#deadline = setTimeout(() => this.stop("time limit"), leftMs);
    signal?.addEventListener("abort", this.#onAbort);
    if (signal?.aborted) this.stop("client gone");
  }

  /** A commit under way is not stopped: nobody could say what came of it. */
  stop(reason: StopReason): void {
    if (this.#committing || this.#stop !== null) return;
    this.#stop = this.#explain(reason);
    this.#connection.interrupt();
    this.#interrupts = setInterval(() => this.#connection.interrupt(), INTERRUPT_EVERY_MS);
    this.#reject(this.#stop);
  }

  /** From here on it can't be stopped. @throws RequestError it was stopped before. */
  beginCommit(): void {
    this.check();
    this.#committing = true;
  }

  /** @throws RequestError it was stopped. */
  check(): void {
    if (this.#stop !== null) throw this.#stop;
  }

  /** No call is under way: what follows, a rollback, is not interrupted. */
  callsDone(): void {
    clearTimeout(this.#deadline);
    if (this.#interrupts !== null) clearInterval(this.#interrupts);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#committing = true;
  }

  end(): void {
    this.#resolveEnded();
  }

  #onAbort = (): void => this.stop("client gone");

  #explain(reason: StopReason): RequestError {
    const effect = this.mode === "write" ? "; rolled back, nothing changed" : "";
    switch (reason) {
      case "time limit":
        return stoppedAtLimit({ timeoutMs: this.#timeoutMs, waitedMs: this.#waitedMs, effect });
      case "client gone":
        return new RequestError(CLIENT_CLOSED_REQUEST, `execute_sql: stopped, the client is gone${effect}`);
      case "saves first":
        return new RequestError(503, `execute_sql: stopped, a save needed the same rows or memory${effect}`, {
          retryAfterS: 1,
        });
      case "server stopping":
        return new RequestError(503, `execute_sql: stopped, the server is stopping${effect}`, {
          retryAfterS: 1,
        });
    }
  }
}
