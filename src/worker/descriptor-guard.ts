/**
 * Keeps a worker from running out of descriptors. Bun goes on trying to accept when there is none
 * left, which takes a whole CPU, and then the process can't open a file either.
 *
 * From 90 % on, connections end with their answer, idle ones are closed, and no request becomes a
 * WebSocket, so that the rest stays for short requests such as /ready. At 97 % the worker stops
 * listening and frees the descriptors that it kept back, until there are enough again.
 */
import { closeSync, openSync } from "node:fs";
import type { Conditions } from "../observe/conditions.ts";
import { countsDescriptorsCheaply, descriptorLimit, openDescriptors } from "../observe/descriptors.ts";
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";

const SHORT_SHARE = 0.9;
const FULL_SHARE = 0.97;
/** The shortage is over when fewer than this were in use for CALM_MS. */
const CALM_SHARE = 0.85;
const CALM_MS = 2_000;
/** Bounds how long a worker without descriptors tries to accept. A look takes 2 µs. */
const LOOK_MS = 50;
/** Interval where a look has to walk over all descriptors. */
const LONG_LOOK_MS = 1_000;
const CLOSE_IDLE_MS = 1_000;
/** Time without listening; doubled when descriptors run out again within AGAIN_MS. */
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 2_000;
const AGAIN_MS = 10_000;
/** Minimum between two equal lines in the log. */
const LINE_MS = 10_000;
/** Kept back for files of the database and the log: a share of the limit, up to RESERVE_MAX. */
const RESERVE_SHARE = 1 / 32;
const RESERVE_MAX = 16;

interface Accepting {
  /** Accepts no connection any more and closes idle ones; the others go on. */
  pause(): void;
  /** @throws Error the port is not available. */
  resume(): void;
  closeIdle(): void;
}

export interface DescriptorGuardOptions {
  accepting: Accepting;
  conditions: Pick<Conditions, "begin" | "end" | "has">;
  log: Pick<LogLines, "error" | "info">;
}

export class DescriptorGuard {
  readonly #options: DescriptorGuardOptions;
  /** Null: the limit is unknown here, and the guard does nothing. */
  readonly #limit: number | null;
  readonly #timer: Timer | null;
  readonly #reserve: number[] = [];
  #isShort = false;
  #shortMs = 0;
  #closedIdleMs = Number.NEGATIVE_INFINITY;
  #pausedMs: number | null = null;
  #resumedMs = Number.NEGATIVE_INFINITY;
  #pauseMs = PAUSE_MIN_MS;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(options: DescriptorGuardOptions) {
    this.#options = options;
    const limit = descriptorLimit();
    this.#limit = limit !== null && Number.isFinite(limit) ? limit : null;
    if (this.#limit === null) {
      this.#timer = null;
      return;
    }
    this.#takeReserve(this.#limit);
    this.#timer = setInterval(() => this.#look(), countsDescriptorsCheaply() ? LOOK_MS : LONG_LOOK_MS);
  }

  /** Whether connections should end with their answer. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** Whether there is none for a WebSocket. Looks anew, as many may come in one moment. */
  hasNoneForSocket(): boolean {
    if (this.#limit === null) return false;
    const used = openDescriptors();
    if (used < this.#limit * SHORT_SHARE) return false;
    // The refused connection ends, so the next look may find a few less in use.
    this.#becomeShort(used, performance.now());
    return true;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#freeReserve();
  }

  #look(): void {
    const limit = this.#limit!;
    const used = openDescriptors();
    const now = performance.now();
    if (this.#pausedMs === null) {
      if (used >= limit * FULL_SHARE) this.#pause(used, now);
    } else if (now - this.#pausedMs >= this.#pauseMs) {
      if (used + this.#reserveSize(limit) < limit * FULL_SHARE) this.#resume(now);
    }
    if (used >= limit * SHORT_SHARE) this.#becomeShort(used, now);
    else if (this.#isShort && (used >= limit * CALM_SHARE || this.#pausedMs !== null)) this.#shortMs = now;
    else if (this.#isShort && now - this.#shortMs >= CALM_MS) this.#recover(used);
  }

  #becomeShort(used: number, now: number): void {
    this.#isShort = true;
    this.#shortMs = now;
    const figures = `${shown(used, this.#limit!)} descriptors are in use`;
    this.#options.conditions.begin(
      "descriptors",
      `${figures}: WebSockets are refused and connections end with their answer; allow more with ulimit -n or LimitNOFILE=`,
    );
    if (now - this.#closedIdleMs < CLOSE_IDLE_MS || this.#pausedMs !== null) return;
    this.#closedIdleMs = now;
    this.#options.accepting.closeIdle();
  }

  #recover(used: number): void {
    this.#isShort = false;
    this.#options.conditions.end(
      "descriptors",
      `Enough descriptors again: ${shown(used, this.#limit!)} are in use`,
    );
  }

  #pause(used: number, now: number): void {
    this.#pauseMs =
      now - this.#resumedMs < AGAIN_MS ? Math.min(this.#pauseMs * 2, PAUSE_MAX_MS) : PAUSE_MIN_MS;
    this.#pausedMs = now;
    // The listener stops first: waiting connections would take what the reserve frees.
    this.#options.accepting.pause();
    this.#freeReserve();
    if (now - this.#toldMs < LINE_MS) return;
    this.#toldMs = now;
    this.#options.log.error(
      `Out of descriptors: ${shown(used, this.#limit!)} are in use; no connection is accepted until some are free`,
    );
  }

  #resume(now: number): void {
    this.#takeReserve(this.#limit!);
    try {
      this.#options.accepting.resume();
    } catch (error) {
      this.#freeReserve();
      this.#pausedMs = now; // tried again after the pause
      this.#options.log.error(`Connections can't be accepted again yet: ${messageOf(error)}`);
      return;
    }
    this.#pausedMs = null;
    this.#resumedMs = now;
  }

  #reserveSize(limit: number): number {
    return Math.min(RESERVE_MAX, Math.floor(limit * RESERVE_SHARE));
  }

  #takeReserve(limit: number): void {
    try {
      while (this.#reserve.length < this.#reserveSize(limit)) this.#reserve.push(openSync("/dev/null", "r"));
    } catch (error) {
      // The limit is too low even for these: a smaller reserve is better than no server.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }

  #freeReserve(): void {
    for (const descriptor of this.#reserve.splice(0)) closeSync(descriptor);
  }
}

function shown(used: number, limit: number): string {
  const inUse = Number.isFinite(used) ? used.toLocaleString("en-US") : "all";
  return `${inUse} of ${limit.toLocaleString("en-US")}`;
}
