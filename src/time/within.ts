/**
 * Waits for a promise no longer than a time.
 *
 * @param late replaces the promise then. It may throw, or return a promise that still races it.
 */
export async function within<T, L>(
  promise: Promise<T>,
  ms: number,
  late: () => L | Promise<L>,
): Promise<T | L> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  try {
    return await Promise.race([promise, over.promise.then(late)]);
  } finally {
    clearTimeout(timer);
  }
}

/** @param late replaces the promise when the signal aborts; it may throw. */
export async function unlessAborted<T, L>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  late: () => L,
): Promise<T | L> {
  if (signal === undefined) return promise;
  const over = Promise.withResolvers<void>();
  const end = (): void => over.resolve();
  if (signal.aborted) end();
  signal.addEventListener("abort", end);
  try {
    return await Promise.race([over.promise.then(late), promise]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}
