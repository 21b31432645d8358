/**
 * The program was started with something it can't use. It prints the message, one line with the
 * flag or variable, the value and what was expected, and exits with USAGE_EXIT.
 */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** A longer value would push the rest of the message off the screen. */
const SHOWN_CHARS_MAX = 200;

/** A value as an error message shows it: in quotes, on one line, bounded in length. */
export function quoted(value: string): string {
  const shown = value.length > SHOWN_CHARS_MAX ? `${value.slice(0, SHOWN_CHARS_MAX)}…` : value;
  return JSON.stringify(shown);
}
