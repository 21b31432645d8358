/** A user's statement on its connection, and the ways to stop it. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { badRequest, type RequestError, unavailable } from "../../protocol/errors.ts";
import { stoppedAsClientLeft, stoppedAtLimit } from "../stopped-sql.ts";
import type { SqlMode } from "../user-sql-contract.ts";

export type StopReason =
  | "time limit"
  | "client gone"
  | "saves first"
  | "memory"
  | "memory of others"
  | "server stopping";

/** DuckDB forgets an interrupt between two calls, so it is repeated until the statement ends. */
const INTERRUPT_EVERY_MS = 20;

export interface StatementLimits {
  /** The whole limit. `waitedMs` passed before the statement began; `leftMs` are left. */
  timeoutMs: number;
  leftMs: number;
  waitedMs: number;
  signal: AbortSignal | undefined;
}

export class RunningStatement {
  readonly mode: SqlMode;
  /** Rejects with the client's error when the statement is stopped. */
  readonly stopped: Promise<never>;
  /** Resolves when the statement holds nothing any more: some heed no interrupt for long. */
  readonly ended: Promise<void>;
  readonly #timeoutMs: number;
  readonly #waitedMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #deadline: Timer;
  readonly #reject: (error: RequestError) => void;
  readonly #resolveEnded: () => void;
  #connection: DuckDBConnection | null = null;
  #interrupts: Timer | null = null;
  #stop: RequestError | null = null;
  #stoppedAt = 0;
  #committing = false;
  #callsDone = false;
  #hasEnded = false;

  constructor({ mode, timeoutMs, leftMs, waitedMs, signal }: { mode: SqlMode } & StatementLimits) {
    this.mode = mode;
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

  get isStopped(): boolean {
    return this.#stop !== null;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Time since the stop; 0: not stopped. */
  get overdueMs(): number {
    return this.#stop === null ? 0 : performance.now() - this.#stoppedAt;
  }

  /** Its calls use this connection from now on. @throws RequestError it was stopped. */
  attach(connection: DuckDBConnection): void {
    this.check();
    this.#connection = connection;
  }

  /** Never stops a commit under way: its outcome would be unknown. */
  stop(reason: StopReason, detail = ""): void {
    if (this.#committing || this.#stop !== null) return;
    this.#stop = this.#explain(reason, detail);
    this.#stoppedAt = performance.now();
    this.#reject(this.#stop);
    if (this.#callsDone) return;
    this.#connection?.interrupt();
    this.#interrupts = setInterval(() => this.#connection?.interrupt(), INTERRUPT_EVERY_MS);
  }

  /** Nothing stops it from here on. @throws RequestError it was stopped before. */
  beginCommit(): void {
    this.check();
    this.#committing = true;
  }

  /** @throws RequestError it was stopped. */
  check(): void {
    if (this.#stop !== null) throw this.#stop;
  }

  /** Lets the rollback run whole. The client may still hear of the limit. */
  callsDone(): void {
    this.#callsDone = true;
    if (this.#interrupts !== null) clearInterval(this.#interrupts);
  }

  end(): void {
    clearTimeout(this.#deadline);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#hasEnded = true;
    this.#resolveEnded();
  }

  #onAbort = (): void => this.stop("client gone");

  #explain(reason: StopReason, detail: string): RequestError {
    const effect = this.mode === "write" ? "; rolled back, nothing changed" : "";
    switch (reason) {
      case "time limit":
        return stoppedAtLimit({ timeoutMs: this.#timeoutMs, waitedMs: this.#waitedMs, effect });
      case "client gone":
        return stoppedAsClientLeft(effect);
      case "memory":
        return badRequest(`execute_sql: stopped, ${detail}${effect}`);
      case "memory of others":
        return unavailable(
          `execute_sql: stopped, as another statement that was stopped has not ended: ${detail}${effect}`,
        );
      case "saves first":
        return unavailable(
          `execute_sql: stopped, a save needed the same rows, or a save or read the memory${effect}`,
        );
      case "server stopping":
        return unavailable(`execute_sql: stopped, the server is stopping${effect}`);
    }
  }
}
