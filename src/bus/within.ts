/** After the time-out, answers that arrived while this thread was busy are still read. */
const GRACE_MS = 100;

/** @throws Error `reason` with the time, when the promise isn't settled in time. */
export async function within<T>(promise: Promise<T>, ms: number, reason: string): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      timer = setTimeout(() => reject(new Error(`${reason} for ${ms / 1_000} s`)), GRACE_MS);
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
