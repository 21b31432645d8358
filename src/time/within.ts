/**
 * @param late what stands for the promise once the time is over; it may throw, or give a promise
 *   that the first one can still overtake.
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
