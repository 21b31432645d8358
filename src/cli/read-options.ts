/** The beginning of every subcommand: its flags, or its help, or what is wrong with them. */
import { UsageError } from "../config/usage-error.ts";
import { USAGE_EXIT } from "../protocol/control.ts";

/**
 * @param parse null when the help is asked for.
 * @returns the options, or the exit code where there is nothing more to do: it has been said why.
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
