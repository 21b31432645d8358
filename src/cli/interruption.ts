/**
 * SIGINT and SIGTERM of an import or a replay: it ends what it has begun, and says how far it came.
 * A second signal ends it at once.
 */

/** Why a command stopped, when the user ended it. */
export const INTERRUPTED = "interrupted";
/** As a shell reports a process that SIGINT ended. */
const EXIT_INTERRUPTED = 130;

/**
 * @param run Returns why it stopped; null when it is done.
 * @returns The exit code: 0 done, 1 stopped, 130 interrupted.
 */
export async function runInterruptibly(
  run: (signal: AbortSignal) => Promise<string | null>,
): Promise<number> {
  const stop = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(EXIT_INTERRUPTED);
    stop.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    const stoppedBy = await run(stop.signal);
    if (stoppedBy === null) return 0;
    return stoppedBy === INTERRUPTED ? EXIT_INTERRUPTED : 1;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
