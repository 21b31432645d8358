/** Ends a subcommand silently, as in pipes, when its output's reader, such as `head`, has gone. */
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
