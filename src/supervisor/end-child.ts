/** The end of a child: asked first, then terminated, then killed. */
import type { LogLines } from "../observe/log.ts";
import { unlessAborted, within } from "../time/within.ts";
import type { Child, ChildEnd } from "./child.ts";

/** Time between SIGTERM, for a child that drains too long, and SIGKILL. */
const TERM_GRACE_MS = 2_000;
/** A dead disk can hold a killed process in the kernel. Waiting longer gains nothing. */
const KILL_WAIT_MS = 5_000;

/** The hub has at least this long to commit accepted saves, however long the workers took. */
const HUB_DRAIN_MIN_MS = 2_000;

/** @param deadlineMs end of the time to stop, by performance.now(). */
export function hubDrainMs(deadlineMs: number): number {
  return Math.max(HUB_DRAIN_MIN_MS, deadlineMs - performance.now());
}

export interface EndOptions {
  /** How long the child may drain. */
  drainMs: number;
  /** Once aborted, the child is killed at once. */
  killNow: AbortSignal;
  log: LogLines;
}

/** Resolves when the child is gone. Accepts a child that has ended. */
export async function endChild(child: Child, { drainMs, killNow, log }: EndOptions): Promise<void> {
  // A booting child may not read messages yet, but SIGTERM ends it.
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

function endWithin(child: Child, ms: number, killNow?: AbortSignal): Promise<ChildEnd | null> {
  const givenUp = () => null;
  return within(unlessAborted(child.ended, killNow, givenUp), ms, givenUp);
}
