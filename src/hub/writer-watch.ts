/**
 * Asks the hub regularly whether it responds, so that `/ready` reports a hanging writer long before
 * the hub is killed, even if no client saves.
 */
import type { Conditions } from "../observe/conditions.ts";
import { describeHang, readProgress } from "./writer-note.ts";

/** Part of --liveness-timeout after which a silent hub is reported. */
const TOLD_AFTER_SHARE = 0.5;
const TOLD_AFTER_MS_MAX = 3_000;
/** Questions within that time. */
const PINGS = 6;

export interface WriterWatchOptions {
  runtimeDir: string;
  limitMs: number;
  conditions: Pick<Conditions, "begin" | "end">;
  /** Resolves to the duration of the commit under way, or 0; rejects when the hub is lost. */
  ping(): Promise<number>;
}

export class WriterWatch {
  readonly #options: WriterWatchOptions;
  readonly #toldAfterMs: number;
  readonly #timer: Timer;
  /** By `performance.now()`; null: nothing is asked. */
  #askedMs: number | null = null;
  #answeredMs = 0;
  /** Counted in intervals: a stall of this process counts as one, however long. */
  #silentMs = 0;
  #progress = 0;

  constructor(options: WriterWatchOptions) {
    this.#options = options;
    this.#toldAfterMs = Math.min(TOLD_AFTER_MS_MAX, options.limitMs * TOLD_AFTER_SHARE);
    const intervalMs = this.#toldAfterMs / PINGS;
    this.#timer = setInterval(() => this.#tick(intervalMs), intervalMs);
  }

  /** Whether the hub has been silent for long enough to be reported. */
  get isSilent(): boolean {
    return this.#silentMs >= this.#toldAfterMs;
  }

  /** How long the hub took to answer, or has taken by now: what waits in it waits about as long. */
  get lagMs(): number {
    const waitingMs = this.#askedMs === null ? 0 : performance.now() - this.#askedMs;
    return Math.max(waitingMs, this.#answeredMs);
  }

  /** Call when the hub is lost: the next one begins anew. */
  lost(): void {
    this.#silentMs = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(intervalMs: number): void {
    if (this.#askedMs === null) {
      void this.#ask();
      return;
    }
    const progress = readProgress(this.#options.runtimeDir);
    this.#silentMs = progress === this.#progress ? this.#silentMs + intervalMs : 0;
    this.#progress = progress;
    if (!this.isSilent) return;
    const forS = this.#silentMs / 1_000;
    const hang = describeHang(this.#options.runtimeDir);
    this.#options.conditions.begin("writer", `the database's writer has not answered for ${forS} s; ${hang}`);
  }

  async #ask(): Promise<void> {
    const { conditions, ping } = this.#options;
    const askedMs = performance.now();
    this.#askedMs = askedMs;
    try {
      const commitMs = await ping();
      this.#answeredMs = performance.now() - askedMs;
      this.#silentMs = 0;
      if (commitMs < this.#toldAfterMs) {
        conditions.end("writer", "The database's writer answers again");
        return;
      }
      const hang = describeHang(this.#options.runtimeDir);
      const forS = Math.round(commitMs / 1_000);
      conditions.begin("writer", `the database's writer has been at one commit for ${forS} s; ${hang}`);
    } catch {
      // /ready reports a lost hub in its own words.
    } finally {
      this.#askedMs = null;
    }
  }
}
