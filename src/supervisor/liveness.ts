/**
 * Finds children whose event loop hangs: they are asked regularly, and one that stays silent is
 * killed.
 */
import type { LogLines } from "../observe/log.ts";
import type { Child } from "./child.ts";

const PING_INTERVAL_MS_MAX = 1_000;
/** With a short limit, this many pings fit into it, so that one late answer does not decide. */
const PINGS_PER_LIMIT = 4;
/**
 * A tick that comes later than this many intervals was held up in this process, or the machine
 * slept.
 */
const LATE_INTERVALS = 1.5;

export interface LivenessOptions {
  /** The children to ask now. */
  children: () => Iterable<Child>;
  /** A child that is silent for this long is killed. */
  limitMs: number;
  /** A number that changes as long as a child that is too busy to answer gets on with its work. */
  progressOf?: (child: Child) => number;
  /** What is known of the reason why the child hangs, for the log; null if nothing is. */
  explain?: (child: Child) => string | null;
  log: LogLines;
}

export interface Liveness {
  /** True once the child has left a whole interval's ping unanswered. */
  isSilent(child: Child): boolean;
  /** Ends the watch. */
  stop(): void;
}

export function watchLiveness({ children, limitMs, progressOf, explain, log }: LivenessOptions): Liveness {
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
      // One ping at a time: `send` to a child that doesn't read would fill this process's memory.
      const childSilentMs = hasProgressed(child) ? 0 : (silentMs.get(child) ?? 0) + passedMs;
      stillSilentMs.set(child, childSilentMs);
      if (childSilentMs < limitMs) continue;
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
 * Of the time between two ticks, what a child may be charged with. If this process itself was
 * stopped or starved, answers may lie unread in its sockets, and the child was perhaps stopped with
 * it; then only one interval counts.
 */
export function countedMs(passedMs: number, intervalMs: number): number {
  return passedMs > intervalMs * LATE_INTERVALS ? intervalMs : passedMs;
}
