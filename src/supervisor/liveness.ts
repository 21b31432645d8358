/** Finds children whose event loop hangs: it pings them regularly and kills silent ones. */

import type { LogLines } from "../observe/log.ts";
import type { Child } from "./child.ts";

const PING_INTERVAL_MS_MAX = 1_000;
/** With a short limit, this many pings fit into it, so that one late answer decides nothing. */
const PINGS_PER_LIMIT = 4;
/** After this many intervals without a tick, this process was stuck or the machine slept. */
const LATE_INTERVALS = 1.5;

export interface LivenessOptions {
  children: () => Iterable<Child>;
  /** A child that is silent for this long is killed. */
  limitMs: number;
  /** A number that changes as long as the child works, though too busy to answer. */
  progressOf?: (child: Child) => number;
  /** So much longer than `limitMs` it may be silent at what it does now. */
  allowanceOf?: (child: Child) => number;
  /** The known reason why the child hangs, for the log. */
  explain?: (child: Child) => string | null;
  log: LogLines;
}

export interface Liveness {
  /** True once the child has left a ping unanswered for a whole interval. */
  isSilent(child: Child): boolean;
  stop(): void;
}

export function watchLiveness(options: LivenessOptions): Liveness {
  const { children, limitMs, progressOf, allowanceOf, explain, log } = options;
  const intervalMs = Math.min(PING_INTERVAL_MS_MAX, limitMs / PINGS_PER_LIMIT);
  let silentMs = new Map<Child, number>();
  const progress = new WeakMap<Child, number>();
  const hasProgressed = (child: Child): boolean => {
    if (progressOf === undefined) return false;
    const before = progress.get(child);
    const now = progressOf(child);
    progress.set(child, now);
    return now !== before;
  };
  let lastTickMs = performance.now();

  const timer = setInterval(() => {
    const nowMs = performance.now();
    const passedMs = countedMs(nowMs - lastTickMs, intervalMs);
    lastTickMs = nowMs;
    const stillSilentMs = new Map<Child, number>();
    for (const child of children()) {
      if (child.hasAnswered()) {
        hasProgressed(child);
        child.ping();
        continue;
      }
      // One ping at a time: unread pings would fill this process' memory.
      const childSilentMs = hasProgressed(child) ? 0 : (silentMs.get(child) ?? 0) + passedMs;
      stillSilentMs.set(child, childSilentMs);
      if (childSilentMs < limitMs + (allowanceOf?.(child) ?? 0)) continue;
      const reason = explain?.(child) ?? null;
      const details = reason === null ? "" : `; ${reason}`;
      log.error(`${child.label} has not answered for ${limitMs / 1_000} s${details}; killing it`);
      child.kill("SIGKILL"); // a loop that hangs can't handle SIGTERM
    }
    silentMs = stillSilentMs;
  }, intervalMs);
  return {
    isSilent: (child) => (silentMs.get(child) ?? 0) > 0,
    stop: () => clearInterval(timer),
  };
}

/**
 * The part of the time between two ticks for which the child is responsible. If this process was
 * stopped or starved, unread answers may lie in its sockets, and the child may have been stopped
 * too: then only one interval counts.
 */
export function countedMs(passedMs: number, intervalMs: number): number {
  return passedMs > intervalMs * LATE_INTERVALS ? intervalMs : passedMs;
}
