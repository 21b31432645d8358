/** Kills a runner at the deadline, or when its client is gone. */
import type { KillReason } from "./runner-end.ts";

/**
 * From the time limit on, for a commit that is under way: killed in it, nobody could say what came
 * of it.
 */
const COMMIT_GRACE_MS = 5_000;

export interface Watched {
  kill(reason: KillReason): void;
}

export interface Limits {
  /** By `performance.now()`. */
  deadlineAt: number;
  /** For the message when the deadline has passed. */
  timeoutMs: number;
  /** The client is gone. */
  signal?: AbortSignal | undefined;
}

export class RunnerWatch {
  /** Set once the runner has begun to commit: then only the deadline, after a grace, kills it. */
  committing = false;
  readonly #runner: Watched;
  readonly #signal: AbortSignal | undefined;
  #deadline: Timer;

  constructor(runner: Watched, { deadlineAt, signal }: Limits) {
    this.#runner = runner;
    this.#signal = signal;
    this.#deadline = setTimeout(this.#onDeadline, Math.max(0, deadlineAt - performance.now()));
    signal?.addEventListener("abort", this.#onAbort);
  }

  stop(): void {
    clearTimeout(this.#deadline);
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  #onDeadline = (): void => {
    if (!this.committing) this.#runner.kill("time limit");
    else this.#deadline = setTimeout(() => this.#runner.kill("time limit"), COMMIT_GRACE_MS);
  };

  #onAbort = (): void => {
    if (!this.committing) this.#runner.kill("client gone");
  };
}
