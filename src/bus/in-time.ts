import { within } from "../time/within.ts";

/** When a time is over, answers that have arrived while this thread was busy are taken first. */
const GRACE_MS = 100;

/** @throws Error with the reason, when the promise isn't settled in time. */
export function inTime<T>(promise: Promise<T>, ms: number, reason: string): Promise<T> {
  return within(promise, ms, async (): Promise<never> => {
    await Bun.sleep(GRACE_MS);
    throw new Error(`${reason} for ${ms / 1_000} s`);
  });
}
