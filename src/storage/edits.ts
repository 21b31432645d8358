/**
 * Edits: what takes stored rows away, or gives them another ticker. Each is one transaction of its
 * own. What it changed is told as updates of its tickers, in the log as those of saves.
 */
import { randomUUID } from "node:crypto";
import { toWire } from "../market/timestamp.ts";
import {
  BAR_DELETE,
  barsRemovedFrame,
  TICKER_RENAME,
  tickDeleteType,
  tickerRenamedFrame,
  ticksRemovedFrame,
} from "../protocol/frames.ts";
import type {
  CommitSubject,
  Edit,
  Edited,
  EditOutcome,
  Removal,
  SaveOutcome,
  SaveRefusal,
  Stored,
} from "./contract.ts";
import { kindOf, partName } from "./model/kinds.ts";
import { rowsMoved } from "./save-refusals.ts";
import type { SaveUpdate } from "./update-contract.ts";

/** All types of ticks, in commands and frames. */
export const ALL_PARTS = "*";

/** As `LogEntry`. */
export interface EditEntry {
  ticker: string;
  updateType: string;
  update: SaveUpdate;
}

/** Whose updates the edit becomes. */
export function editedTickers(edit: Edit): string[] {
  return edit.what === "removal" ? [edit.ticker] : [edit.ticker, edit.newTicker];
}

/** For the note of what the writer is at. */
export function subjectOf(edit: Edit): CommitSubject {
  return { kind: edit.what === "removal" ? edit.kind : "daily", ticker: edit.ticker, rows: [] };
}

/** The one of them that has the identity of its request; null: it has none. */
export function identifiedEntryOf(edit: Edit): EditEntry | null {
  return logEntriesOf(edit, 0).at(-1) ?? null;
}

/** What the log gets of it, in order. The last has its identity, and tells its position. */
export function logEntriesOf(edit: Edit, rows: number): EditEntry[] {
  const { identity, ticker } = edit;
  if (edit.what === "removal") {
    if (edit.isAgeing) return [];
    const { part, ids } = edit;
    const [start, end] = [edit.from, edit.to].map((bound) => (bound === null ? null : toWire(bound)));
    const range = { start: start!, end: end!, ...(ids === null ? {} : { ids }), removed: rows };
    const { noun } = kindOf(edit.kind);
    const [updateType, frame] =
      noun === "bars"
        ? [BAR_DELETE, barsRemovedFrame(ticker, partName(edit.kind, part), range)]
        : [tickDeleteType(part ?? ALL_PARTS), ticksRemovedFrame(ticker, part ?? ALL_PARTS, range)];
    return [{ ticker, updateType, update: { ...identity, frame } }];
  }
  const { newTicker } = edit;
  const entryOf = (of: string, by: Edit["identity"]): EditEntry => ({
    ticker: of,
    updateType: TICKER_RENAME,
    update: { ...by, frame: tickerRenamedFrame(of, { old: ticker, new: newTicker, renamed: rows }) },
  });
  return [entryOf(ticker, { saveId: randomUUID(), repeated: false }), entryOf(newTicker, identity)];
}

/** For the log, an outcome for each of `logEntriesOf`, without its position. */
export function loggedOutcomes(entries: readonly EditEntry[], rows: number): Stored[] {
  return entries.map(() => ({ ok: true, stored: rows, position: null }));
}

/** @param positions of `entries`. */
export function editedOutcome(
  entries: readonly EditEntry[],
  rows: number,
  positions: readonly number[],
  epoch?: string,
): Edited {
  const updates = entries.map(({ ticker, updateType, update }, index) => ({
    ticker,
    update: { position: positions[index]!, type: updateType, frame: update.frame },
  }));
  return { ok: true, rows, position: positions.at(-1) ?? null, epoch, updates };
}

/** Of an edit that has changed nothing. @param found the rows that are concerned, or a refusal. */
export function foundOutcome(applied: AppliedRows | SaveRefusal, epoch?: string): EditOutcome {
  if ("ok" in applied) return applied;
  const { rows, found } = applied;
  return { ok: true, rows, position: null, epoch, found, updates: [] };
}

/** What an edit has changed, or would. */
export interface AppliedRows {
  rows: number;
  /** See `Edited.found`. */
  found?: string | undefined;
}

/** Rows that a removal is of, as its transaction finds them. */
export interface FoundRows {
  rows: number;
  /** When one of them was written last, as the engine tells it; null: there are none. */
  written: string | null;
  /**
   * Of the times of all of them within the hour, in µs: a row that is written anew changes it, also
   * by a clock that stands lower than when others were written.
   */
  writtenSum: string | number | null;
}

/** See `Edited.found`. */
function foundText({ rows, written, writtenSum }: FoundRows): string {
  return `${rows} ${written ?? ""} ${writtenSum ?? ""}`;
}

/** @returns a refusal where they aren't what the removal relies on. */
export function movedRefusal({ ticker, asFound }: Removal, found: FoundRows): SaveRefusal | null {
  return asFound === undefined || asFound === foundText(found) ? null : rowsMoved(ticker);
}

/** What a removal has applied, or would. */
export function appliedRemoval({ isAgeing }: Removal, found: FoundRows): AppliedRows {
  return isAgeing ? { rows: found.rows, found: foundText(found) } : { rows: found.rows };
}

/** @param found of `repeatedOutcome`. */
export function editedBefore(found: SaveOutcome): EditOutcome {
  if (!found.ok)
    return {
      ok: false,
      status: found.status,
      error:
        "the Idempotency-Key or save_id was used for another request, with other parameters; nothing was changed",
      details: "each request needs an identity of its own; only a repetition brings the same again",
    };
  const { stored, position, epoch } = found;
  return { ok: true, rows: stored, position, epoch, isRepetition: true, updates: [] };
}
