/**
 * Watches the memory of all of a server's processes. Near the bound, the server refuses expensive
 * work, gives caches back and logs what takes the memory. Memory goes back late, so one high figure
 * is no alarm.
 */
import { MIB } from "../config/units.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { Logger } from "../observe/log.ts";
import { unavailable } from "../protocol/errors.ts";
import type { MemoryBoard, ServerProcess } from "./memory-board.ts";

const LOOK_MS = 250;
/** Share of the bound at which caches are given up. */
const NEAR = 0.85;
/** Expensive work is refused after this time near the bound; at the bound itself, at once. */
const NEAR_FOR_MS = 1_500;
/** Work is refused until memory stays below this share for a moment. */
const CLEAR = 0.75;
const CLEAR_FOR_MS = 1_000;
/** Time between two times that caches are given up. */
const SHRINK_PAUSE_MS = 5_000;
/**
 * A full garbage collection stops the process, by 0.1 s and more for some hundred MB. This is the
 * share of time that it may take.
 */
const COLLECTING_SHARE = 1 / 100;
/** Time between two lists of what takes the memory. */
const LIST_PAUSE_MS = 60_000;
const PARTS_LISTED_MAX = 8;

export interface MemoryPart {
  what: string;
  bytes: number;
}

export interface MemoryWatchOptions {
  board: MemoryBoard;
  /** --memory-mb. */
  bytesMax: number;
  conditions: Conditions;
  log: Pick<Logger, "warning">;
  /** Large parts that this process knows of. */
  parts(): MemoryPart[];
  /** Frees what this process can do without. */
  shrink(): void;
}

export interface MemoryFigures {
  used_bytes: number;
  max_bytes: number;
  near: boolean;
}

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  readonly #timer: Timer;
  #usedBytes = 0;
  #nearSinceMs: number | null = null;
  #clearSinceMs: number | null = null;
  #shrinkNextMs = Number.NEGATIVE_INFINITY;
  #listedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  /**
   * @throws RequestError 503 while memory is short.
   * @param what The work, for the message: "execute_sql".
   */
  admit(what: string): void {
    if (!this.#options.conditions.has("memory")) return;
    throw unavailable(
      `${what}: the server is short of memory: its processes take ${mb(this.#usedBytes)} of ${mb(this.#options.bytesMax)} MB; try again later`,
    );
  }

  figures(): MemoryFigures {
    return {
      used_bytes: this.#usedBytes,
      max_bytes: this.#options.bytesMax,
      near: this.#options.conditions.has("memory"),
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Called by the timer. */
  look(): void {
    const { board, bytesMax } = this.#options;
    const now = performance.now();
    const processes = processesOf(board);
    this.#usedBytes = sumOf(processes);
    if (this.#usedBytes >= bytesMax * NEAR) this.#near(now, processes);
    else this.#nearSinceMs = null;
    if (this.#usedBytes < bytesMax * CLEAR) this.#clear(now);
    else this.#clearSinceMs = null;
  }

  #near(now: number, processes: ServerProcess[]): void {
    const { bytesMax, conditions, log } = this.#options;
    this.#nearSinceMs ??= now;
    if (now >= this.#shrinkNextMs) {
      this.#options.shrink();
      const startedMs = performance.now();
      Bun.gc(true);
      const endedMs = performance.now();
      this.#shrinkNextMs = endedMs + Math.max(SHRINK_PAUSE_MS, (endedMs - startedMs) / COLLECTING_SHARE);
    }
    if (this.#usedBytes < bytesMax && now - this.#nearSinceMs < NEAR_FOR_MS) return;
    conditions.begin(
      "memory",
      `Memory is short: the server's processes take ${mb(this.#usedBytes)} of ${mb(bytesMax)} MB (--memory-mb); expensive requests are refused`,
    );
    if (now - this.#listedAtMs < LIST_PAUSE_MS) return;
    this.#listedAtMs = now;
    log.warning(
      `Memory: ${listed(processes.map(({ name, pid, bytes }) => ({ what: `${name} (pid ${pid})`, bytes })))}`,
    );
    const parts = this.#options.parts().filter(({ bytes }) => bytes >= MIB);
    if (parts.length > 0) log.warning(`Memory, what this process knows of: ${listed(parts)}`);
  }

  #clear(now: number): void {
    this.#clearSinceMs ??= now;
    if (now - this.#clearSinceMs < CLEAR_FOR_MS) return;
    this.#listedAtMs = Number.NEGATIVE_INFINITY;
    this.#options.conditions.end(
      "memory",
      `Memory suffices again: the server's processes take ${mb(this.#usedBytes)} of ${mb(this.#options.bytesMax)} MB`,
    );
  }
}

/** With the SQL runners. */
export function processesOf(board: MemoryBoard): ServerProcess[] {
  return [
    ...board.processes(),
    ...board.runners().map(({ pid, bytes }) => ({ pid, name: "SQL runner", bytes })),
  ];
}

export function sumOf(parts: { bytes: number }[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}

function listed(parts: MemoryPart[]): string {
  const greatest = parts.toSorted((a, b) => b.bytes - a.bytes);
  const shown = greatest.slice(0, PARTS_LISTED_MAX).map(({ what, bytes }) => `${what} ${mb(bytes)} MB`);
  const rest = greatest.slice(PARTS_LISTED_MAX);
  if (rest.length > 0) shown.push(`${rest.length} more ${mb(sumOf(rest))} MB`);
  return shown.join(", ");
}

function mb(bytes: number): number {
  return Math.round(bytes / MIB);
}
