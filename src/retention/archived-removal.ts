/**
 * Removes the old rows of a series, a period after the other, each only once it is in the archive.
 * What was found before a file was written is what may go: rows that a save has changed or added
 * since then stay, and are archived by a later look.
 */
import type { Archive } from "../storage/archive/archive.ts";
import { type Period, periodOf } from "../storage/archive/archive-files.ts";
import type { Edit, EditOutcome, StockReader } from "../storage/contract.ts";
import type { KindName } from "../storage/model/kinds.ts";
import { sleep } from "../time/pauses.ts";
import { archivePeriod } from "./archive-period.ts";
import { boundsOfPeriod, type FirstRow, firstRow, lastBefore } from "./first-row.ts";
import { nextStep, PAUSE_MS, STEP_MICROS_FIRST, STEP_MICROS_MIN, STEP_ROWS_MAX } from "./step-length.ts";

interface RemovalStep {
  from: string;
  to: string;
  /** What `Edited.found` says of it. */
  found: string;
}

export interface ArchivedRemoval {
  db: { columns: StockReader["columns"]; edit(edit: Edit): Promise<EditOutcome> };
  archive: Archive;
  kind: KindName;
  first: FirstRow;
  /** In µs since 1970: what is later stays. Periods that it lies within stay whole. */
  end: number;
  /** Asked before each step: false where the rest has to wait. */
  mayRemove(): Promise<boolean>;
  /** Told of each step. */
  done(rows: number): void;
  signal: AbortSignal;
}

/**
 * @returns false: the rest has to wait. @throws Error A file can't be written, or rows can't be
 *   removed: they are still there.
 */
export async function archiveAndRemove(of: ArchivedRemoval): Promise<boolean> {
  const { db, archive, kind, first, signal } = of;
  const { ticker, part } = first;
  const end = periodOf(kind, of.end).from;
  let oldest: number = first.micros;
  while (!signal.aborted && oldest < end) {
    if (!(await of.mayRemove())) return false;
    const period = periodOf(kind, oldest);
    const steps = await planSteps(of, period);
    await archivePeriod({ archive, columns: db.columns, series: { kind, ticker, part }, period, signal });
    for (const step of steps) {
      if (!(await of.mayRemove())) return false;
      if (!(await removeStep(of, step))) return true;
    }
    const next = await firstRow({
      ...{ columns: db.columns, kind, ticker, part, to: lastBefore(kind, end), behind: null, signal },
    });
    oldest = next?.micros ?? end;
  }
  return true;
}

/** Finds steps of some thousand rows. They are asked for before any row is read for the file. */
async function planSteps(of: ArchivedRemoval, period: Period): Promise<RemovalStep[]> {
  const { kind, signal } = of;
  const steps: RemovalStep[] = [];
  let micros = STEP_MICROS_FIRST;
  for (let from = period.from; from < period.until && !signal.aborted; ) {
    const bounds = boundsOfPeriod(kind, { from, until: Math.min(period.until, from + micros) });
    const { rows, found = "" } = await edited(of, bounds, { dryRun: true });
    const isTooLarge = rows > STEP_ROWS_MAX && micros > STEP_MICROS_MIN;
    if (rows > 0 && !isTooLarge) steps.push({ ...bounds, found });
    if (!isTooLarge) from += micros;
    micros = nextStep(micros, rows);
  }
  return steps;
}

/** @returns false: the rows aren't what was found. */
async function removeStep(of: ArchivedRemoval, { found, ...bounds }: RemovalStep): Promise<boolean> {
  const { signal } = of;
  if (signal.aborted) return false;
  const began = performance.now();
  const outcome = await edited(of, bounds, { dryRun: false, asFound: found });
  if (outcome.isMoved) return false;
  of.done(outcome.rows);
  await sleep(Math.max(PAUSE_MS, performance.now() - began), signal);
  return true;
}

async function edited(
  { db, kind, first: { ticker, part } }: ArchivedRemoval,
  bounds: { from: string; to: string },
  how: { dryRun: boolean; asFound?: string },
): Promise<{ rows: number; found?: string | undefined; isMoved: boolean }> {
  const outcome = await db.edit({
    ...{ what: "removal", kind, ticker, part, ...bounds, ids: null, isAgeing: true, ...how },
    identity: { saveId: "", repeated: false },
  });
  if (outcome.ok) return { rows: outcome.rows, found: outcome.found, isMoved: false };
  if (outcome.rowsMoved) return { rows: 0, isMoved: true };
  throw new Error(outcome.error);
}
