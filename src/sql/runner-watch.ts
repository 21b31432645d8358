/** Kills a runner at the deadline, when its client is gone, or when it takes too much memory. */
import { readFileSync } from "node:fs";
import type { KillReason } from "./runner-end.ts";

/** From the time limit on, for a commit that is under way: killed in it, nobody could say what came of it. */
const COMMIT_GRACE_MS = 5_000;
const MEMORY_LOOK_MS = 100;

export interface Watched {
  pid: number;
  kill(reason: KillReason): void;
}

export interface Limits {
  /** By `performance.now()`. */
  deadlineAt: number;
  /** For the message when the deadline has passed. */
  timeoutMs: number;
  /** Of resident memory, with the answer. Only Linux tells it. */
  memoryBytesMax: number;
  /** The client is gone. */
  signal?: AbortSignal | undefined;
}

export class RunnerWatch {
  /** Set once the runner has begun to commit: then only the deadline, after a grace, kills it. */
  committing = false;
  readonly #runner: Watched;
  readonly #signal: AbortSignal | undefined;
  readonly #memory: Timer;
  readonly #memoryBytesMax: number;
  #deadline: Timer;

  constructor(runner: Watched, { deadlineAt, signal, memoryBytesMax }: Limits) {
    this.#runner = runner;
    this.#signal = signal;
    this.#memoryBytesMax = memoryBytesMax;
    this.#deadline = setTimeout(this.#onDeadline, Math.max(0, deadlineAt - performance.now()));
    this.#memory = setInterval(this.#lookAtMemory, MEMORY_LOOK_MS);
    signal?.addEventListener("abort", this.#onAbort);
  }

  stop(): void {
    clearTimeout(this.#deadline);
    clearInterval(this.#memory);
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  #onDeadline = (): void => {
    if (!this.committing) this.#runner.kill("time limit");
    else this.#deadline = setTimeout(() => this.#runner.kill("time limit"), COMMIT_GRACE_MS);
  };

  #onAbort = (): void => {
    if (!this.committing) this.#runner.kill("client gone");
  };

  #lookAtMemory = (): void => {
    if (!this.committing && residentBytes(this.#runner.pid) > this.#memoryBytesMax)
      this.#runner.kill("memory limit");
  };
}

/** 0 where it can't be known. */
function residentBytes(pid: number): number {
  if (process.platform !== "linux") return 0;
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It has just ended; whoever reads its output will say so.
    if (code === "ENOENT" || code === "ESRCH") return 0;
    throw error;
  }
}
