/** Ways to wait: for the event loop, for a time, for the next try. */

/** Lets everything else that has come to the event loop go first. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Ends early when the signal is aborted; never rejects. */
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

/** The first pause, doubled with each failure after the first. */
export function backoffMs({ firstMs, maxMs }: Backoff, failuresBefore: number): number {
  return Math.min(maxMs, firstMs * 2 ** failuresBefore);
}

/** Between half of it and all. Those who lost the same server must not come back together. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}
