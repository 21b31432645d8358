/** The start of every subcommand: reads its flags, or prints its help or its error. */
import { UsageError } from "../config/usage-error.ts";
import { USAGE_EXIT } from "../protocol/control.ts";

/**
 * @param parse Returns null when help was asked for.
 * @returns the options, or the exit code after a help or error was printed.
 */
export function readOptions<T extends object>(parse: () => T | null, help: string): T | number {
  let options: T | null;
  try {
    options = parse();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return USAGE_EXIT;
  }
  if (options !== null) return options;
  process.stdout.write(help);
  return 0;
}
