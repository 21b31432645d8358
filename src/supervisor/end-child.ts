/** The end of a child: asked first, then terminated, then killed. */
import type { LogLines } from "../observe/log.ts";
import type { Child, ChildEnd } from "./child.ts";

/** From SIGTERM, for what has overrun its drain time, to SIGKILL. */
const TERM_GRACE_MS = 2_000;
/** A killed process can hang in the kernel, on a dead disk; waiting longer helps nobody. */
const KILL_WAIT_MS = 5_000;

/**
 * For the hub to commit what was accepted, however long the workers have taken of the time to stop.
 */
const HUB_DRAIN_MIN_MS = 2_000;

/** @param deadlineMs when the time to stop is over, as of performance.now(). */
export function hubDrainMs(deadlineMs: number): number {
  return Math.max(HUB_DRAIN_MIN_MS, deadlineMs - performance.now());
}

export interface EndOptions {
  /** How long the child may drain. */
  drainMs: number;
  /** Once aborted, the child is killed without further waiting. */
  killNow: AbortSignal;
  log: LogLines;
}

/** Resolves when the child is gone. May be called for a child that has ended. */
export async function endChild(child: Child, { drainMs, killNow, log }: EndOptions): Promise<void> {
  // A child that still boots may not look at messages yet; SIGTERM ends it either way.
  if (!child.isReady() || !child.drain(drainMs)) child.kill("SIGTERM");
  let end = await endWithin(child, drainMs, killNow);
  if (end === null && !killNow.aborted) {
    log.warning(
      `${child.label} has not finished within ${Number((drainMs / 1_000).toFixed(1))} s; terminating it`,
    );
    child.kill("SIGTERM");
    end = await endWithin(child, TERM_GRACE_MS, killNow);
    if (end === null) log.warning(`${child.label} does not end; killing it`);
  }
  if (end === null) {
    child.kill("SIGKILL");
    end = await endWithin(child, KILL_WAIT_MS);
  }
  if (end === null) log.error(`${child.label} is still there after SIGKILL`);
  else if (end.clean) log.info(`${child.label} stopped`);
  else log.info(`${child.label} ${end.how} while stopping`);
}

async function endWithin(child: Child, ms: number, killNow?: AbortSignal): Promise<ChildEnd | null> {
  if (killNow?.aborted) return null;
  const giveUp = Promise.withResolvers<null>();
  const onGiveUp = () => giveUp.resolve(null);
  const timer = setTimeout(onGiveUp, ms);
  killNow?.addEventListener("abort", onGiveUp);
  try {
    return await Promise.race([child.ended, giveUp.promise]);
  } finally {
    clearTimeout(timer);
    killNow?.removeEventListener("abort", onGiveUp);
  }
}
