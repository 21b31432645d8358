/** Outcomes of saves that are refused, in the words that every engine uses. */
import { STATUS } from "../protocol/codes.ts";
import type { Save, SaveOutcome } from "./contract.ts";

/** Keys named in a 409; more are counted. */
const CONFLICTS_NAMED_MAX = 10;

/**
 * `on_duplicate` is "error" and some keys are taken.
 *
 * @param keys as the client may read them, not empty.
 */
export function keysTaken(what: string, keys: string[]): SaveOutcome {
  const named = keys.slice(0, CONFLICTS_NAMED_MAX).join(", ");
  const more = keys.length > CONFLICTS_NAMED_MAX ? ` and ${keys.length - CONFLICTS_NAMED_MAX} more` : "";
  return {
    ok: false,
    status: STATUS.conflict,
    error: `${what}: ${keys.length} of the rows are stored already and on_duplicate is "error"; nothing was saved`,
    details: `${named}${more}`,
  };
}

/** The database can't store any row there for now. @param reason in the engine's words. */
export function tablesUnusable(error: string, reason: string): SaveOutcome {
  return { ok: false, status: STATUS.unavailable, error: `save: ${error}`, details: reason };
}

/**
 * The database is not as it has to be, whatever the rows: nothing that the caller could change.
 *
 * @param reason in the engine's words.
 */
export function databaseRefuses(reason: string): SaveOutcome {
  return tablesUnusable("the database refused the commit", reason);
}

/**
 * A rule that users made with SQL, such as a unique index or a trigger, is broken.
 *
 * @param reason in the engine's words.
 */
export function rowRefused(save: Save, reason: string): SaveOutcome {
  return {
    ok: false,
    status: STATUS.conflict,
    error: `save: the database refuses a row of ${save.ticker}; nothing of this save was stored`,
    details: reason,
  };
}
