/**
 * The person who started the program gave it something it can't use. The message is one line that
 * names the flag or variable, the value and what was expected; the program prints it and exits with
 * USAGE_EXIT.
 */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** A longer value would push what was expected off the screen. */
const SHOWN_CHARS_MAX = 200;

/** A value as an error message shows it: in quotes, on one line, bounded in length. */
export function quoted(value: string): string {
  const shown = value.length > SHOWN_CHARS_MAX ? `${value.slice(0, SHOWN_CHARS_MAX)}…` : value;
  return JSON.stringify(shown);
}
