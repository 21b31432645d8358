const WAIT_MAX_MS = 100_000;
const POLL_MS = 5;

/** Polls until the condition holds. What it throws ends the wait. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MAX_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${condition}`);
    await Bun.sleep(POLL_MS);
  }
}
