import type { SaveOutcome } from "./contract.ts";

/** Keys named in a 409; more are counted. */
const CONFLICTS_NAMED_MAX = 10;

/** The outcome of a save with `on_duplicate: "error"` whose rows are stored already. */
export function conflict(what: string, keys: string[]): SaveOutcome {
  const named = keys.slice(0, CONFLICTS_NAMED_MAX).join(", ");
  const more = keys.length > CONFLICTS_NAMED_MAX ? ` and ${keys.length - CONFLICTS_NAMED_MAX} more` : "";
  return {
    ok: false,
    status: 409,
    error: `${what}: ${keys.length} of the rows are stored already and on_duplicate is "error"; nothing was saved`,
    details: `${named}${more}`,
  };
}
