/** Outcomes of refused saves, in the words of every engine. */
import { STATUS } from "../protocol/codes.ts";
import type { NoteChange, Save, SaveOutcome, SaveRefusal } from "./contract.ts";

/** In a 409; more are counted. */
const CONFLICTS_NAMED_MAX = 10;

/** `on_duplicate` is "error". @param keys The taken ones, as clients read them, not empty. */
export function keysTaken(what: string, keys: string[]): SaveRefusal {
  const count = `${keys.length} of the rows are stored already`;
  return conflict(what, count, keys);
}

/** The same for keys that a request has twice. */
export function keysTwice(what: string, keys: string[]): SaveRefusal {
  return conflict(what, `${keys.length} of the rows have the key of an earlier one`, keys);
}

function conflict(what: string, reason: string, keys: string[]): SaveRefusal {
  const named = keys.slice(0, CONFLICTS_NAMED_MAX).join(", ");
  const more = keys.length > CONFLICTS_NAMED_MAX ? ` and ${keys.length - CONFLICTS_NAMED_MAX} more` : "";
  return {
    ok: false,
    status: STATUS.conflict,
    error: `${what}: ${reason} and on_duplicate is "error"; nothing was saved`,
    details: `${named}${more}`,
  };
}

/** Somebody else has changed a note that a save or an edit relies on. */
export function noteMoved({ name }: NoteChange): SaveRefusal {
  return {
    ok: false,
    status: STATUS.conflict,
    error: `the note ${name} has changed meanwhile; nothing was saved`,
    noteMoved: true,
  };
}

/** They aren't what a dry run has found. */
export function rowsMoved(ticker: string): SaveRefusal {
  return {
    ok: false,
    status: STATUS.conflict,
    error: `the rows of ${ticker} have changed meanwhile; nothing was removed`,
    rowsMoved: true,
  };
}

/** A ticker can't get the name of another. */
export function tickerTaken(ticker: string): SaveRefusal {
  return {
    ok: false,
    status: STATUS.conflict,
    error: `${ticker} has rows already; nothing was renamed`,
    details: "rows of two tickers are never merged: remove those of the new one first",
  };
}

/** A rule of users' SQL, such as a trigger. @param reason in the engine's words. */
export function editRefused(ticker: string, reason: string): SaveRefusal {
  return {
    ok: false,
    status: STATUS.conflict,
    error: `the database refuses a change of ${ticker}; nothing was changed`,
    details: reason,
  };
}

/** The database can't store any row there now. @param reason in the engine's words. */
export function tablesUnusable(error: string, reason: string): SaveRefusal {
  return { ok: false, status: STATUS.unavailable, error: `save: ${error}`, details: reason };
}

/** The database is at fault, whatever the rows. @param reason in the engine's words. */
export function databaseRefuses(reason: string): SaveRefusal {
  return tablesUnusable("the database refused the commit", reason);
}

/**
 * A row breaks a rule of users' SQL, such as a unique index. @param reason in the engine's words.
 */
export function rowRefused(save: Save, reason: string): SaveOutcome {
  return {
    ok: false,
    status: STATUS.conflict,
    error: `save: the database refuses a row of ${save.ticker}; nothing of this save was stored`,
    details: reason,
  };
}
