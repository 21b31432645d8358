import type { Logger } from "../observe/log.ts";

const EXIT_SURPRISED = 1;

/**
 * A bug that nothing caught: say so and end, so that the supervisor or systemd starts a sound
 * process.
 */
export function failOnSurprise(log: Logger): void {
  const fail = (error: unknown): void => {
    log.critical(`Unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    log.flushSync();
    process.exit(EXIT_SURPRISED);
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
}
