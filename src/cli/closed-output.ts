/**
 * Whoever read a subcommand's output has seen enough, as `head` has: it ends without a word, as a
 * program in a pipe does.
 */
import { errorCode } from "../observe/file-errors.ts";

/** 128 + SIGPIPE, which the runtime ignores. */
const CLOSED_OUTPUT_EXIT = 141;

export function endWithOutput(): void {
  for (const output of [process.stdout, process.stderr]) {
    output.on("error", (error) => {
      if (errorCode(error) !== "EPIPE") throw error;
      process.exit(CLOSED_OUTPUT_EXIT);
    });
  }
}
