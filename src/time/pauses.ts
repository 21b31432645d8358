/** Lets everything else in the event loop go first. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Ends early if the signal aborts; never rejects. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

export interface Backoff {
  firstMs: number;
  maxMs: number;
}

export function backoffMs({ firstMs, maxMs }: Backoff, failuresBefore: number): number {
  return Math.min(maxMs, firstMs * 2 ** failuresBefore);
}

/** At least half of it: clients that lost the same server must not return together. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}
