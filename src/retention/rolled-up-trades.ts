/**
 * Decides whether trades may go of which roll-ups are made: when their bars have all of them. The
 * ticker's note then says that bars before stay as they are, since they can't be made anew.
 */
import { noteName } from "../market/rollup-note.ts";
import { changedSpans } from "../rollups/changed-spans.ts";
import { type RollupDatabase, saveNote } from "../rollups/rollup-database.ts";
import type { RollupSeries } from "../rollups/rules.ts";
import { isKnownNote, noteText, readNote, type TickerNote } from "../rollups/ticker-note.ts";
import { LOG_LIMIT } from "../rollups/ticker-rollup.ts";

/** Of the log. A ticker that has more updates which its note doesn't know has to wait. */
const READS_MAX = 8;

interface OldTrades {
  db: Pick<RollupDatabase, "reader" | "save">;
  ticker: string;
  /** What its rules give the ticker. */
  series: readonly RollupSeries[];
  /** The begin of a UTC day, in µs since 1970: the trades before it are to go. */
  end: number;
}

/** @returns false: not yet. @throws Error the note can't be changed. */
export async function mayRemoveTrades(trades: OldTrades): Promise<boolean> {
  const { db, ticker, series, end } = trades;
  const name = noteName(ticker);
  const [found] = await db.reader.notes(name, name, 1);
  const from = found?.[1] ?? null;
  const note = readNote(from, ticker);
  // Where no note can be read, whoever makes roll-ups looks for bars whose trades are gone.
  if (note === null) return series.length === 0;
  if (note.keptFrom !== null && note.keptFrom >= end) return true;
  if (series.length > 0 && !(await areRolledUp(trades, note))) return false;
  const to = noteText({ ...note, step: note.step + 1, keptFrom: end });
  const outcome = await saveNote(db, ticker, { name, from, to });
  if (outcome.ok || outcome.noteMoved === true) return outcome.ok;
  throw new Error(outcome.error);
}

async function areRolledUp({ db, ticker, series, end }: OldTrades, note: TickerNote): Promise<boolean> {
  const { updates } = db.reader;
  const labels = series.map(({ label }) => label);
  if (!isKnownNote(note, { ticker, epoch: await updates.epoch(), labels })) return false;
  if (note.todo.some((span) => span.from < end)) return false;
  const names = series.map((each) => each.name);
  const { position } = await updates.newest(ticker);
  let { to } = note;
  for (let reads = 0; to < position; reads++) {
    if (reads === READS_MAX) return false;
    const found = await updates.after(ticker, to, LOG_LIMIT);
    // The log no longer has what came since.
    if (found[0]?.position !== to + 1) return false;
    for (const update of found)
      if (changedSpans(update, names, update.savedAtMs).some((span) => span.from < end)) return false;
    to = found.at(-1)!.position;
  }
  return true;
}
