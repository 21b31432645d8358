const WAIT_MAX_MS = 100_000;
const FIRST_PAUSE_MS = 5;
const PAUSE_MAX_MS = 100;

/** Polls until the condition holds. What it throws ends the wait. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const started = performance.now();
  while (!(await condition())) {
    const waitedMs = performance.now() - started;
    if (waitedMs > WAIT_MAX_MS) throw new Error(`waited in vain for ${condition}`);
    await Bun.sleep(pauseAfter(waitedMs, FIRST_PAUSE_MS));
  }
}

/**
 * A tenth of what was waited so far: what comes soon is seen at once, and what takes seconds isn't
 * asked for hundreds of times, which takes processors from the server that is waited for.
 */
export function pauseAfter(waitedMs: number, leastMs: number): number {
  return Math.min(Math.max(waitedMs / 10, leastMs), PAUSE_MAX_MS);
}
