/**
 * A worker's watch over the hub: asks it regularly whether it is there, so that `/ready` tells of a
 * writer that hangs long before the supervisor ends it. Whether a client saves meanwhile doesn't
 * matter.
 */
import type { Conditions } from "../observe/conditions.ts";
import { describeHang, readProgress } from "./writer-note.ts";

/** Of --liveness-timeout: by then a silent hub is told of, and by its end it is killed. */
const TOLD_AFTER_SHARE = 0.5;
const TOLD_AFTER_MS_MAX = 3_000;
/** So many questions fit into that time. */
const PINGS = 6;

export interface WriterWatchOptions {
  runtimeDir: string;
  /** --liveness-timeout. */
  limitMs: number;
  conditions: Pick<Conditions, "begin" | "end">;
  /**
   * Resolves to how long the commit under way has lasted, 0 if there is none; rejects when the hub
   * is away.
   */
  ping(): Promise<number>;
}

export class WriterWatch {
  readonly #options: WriterWatchOptions;
  readonly #toldAfterMs: number;
  readonly #timer: Timer;
  #isAsking = false;
  /** Counted in intervals: a stall of this process is one of them, however long. */
  #silentMs = 0;
  #progress = 0;

  constructor(options: WriterWatchOptions) {
    this.#options = options;
    this.#toldAfterMs = Math.min(TOLD_AFTER_MS_MAX, options.limitMs * TOLD_AFTER_SHARE);
    const intervalMs = this.#toldAfterMs / PINGS;
    this.#timer = setInterval(() => this.#tick(intervalMs), intervalMs);
  }

  /** It has not answered for so long that it is told of. */
  get isSilent(): boolean {
    return this.#silentMs >= this.#toldAfterMs;
  }

  /** The hub is gone: the next one begins anew. */
  lost(): void {
    this.#silentMs = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(intervalMs: number): void {
    if (!this.#isAsking) {
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
    this.#isAsking = true;
    try {
      const commitMs = await ping();
      this.#silentMs = 0;
      if (commitMs < this.#toldAfterMs) {
        conditions.end("writer", "The database's writer answers again");
        return;
      }
      const hang = describeHang(this.#options.runtimeDir);
      const forS = Math.round(commitMs / 1_000);
      conditions.begin("writer", `the database's writer has been at one commit for ${forS} s; ${hang}`);
    } catch {
      // The hub is away, which /ready tells in its own words.
    } finally {
      this.#isAsking = false;
    }
  }
}
