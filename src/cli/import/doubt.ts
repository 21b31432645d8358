/** What a file means can't be seen. The message asks, and names the flag that answers. */
export class DoubtError extends Error {
  override name = "DoubtError";
}

/** At most this many names in a message. */
const NAMES_MAX = 5;

/** "A, B, C and 7 more". */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_MAX).join(", ");
  return names.length > NAMES_MAX ? `${shown} and ${names.length - NAMES_MAX} more` : shown;
}
