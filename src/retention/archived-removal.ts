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
import { archivePeriod, ChangedError } from "./archive-period.ts";
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
 * A period in which somebody saves meanwhile is left to a later look.
 *
 * @returns false: some of it has to wait. @throws Error A file can't be written, or rows can't be
 *   removed: they are still there.
 */
export async function archiveAndRemove(of: ArchivedRemoval): Promise<boolean> {
  const { db, kind, first, signal } = of;
  const { ticker, part } = first;
  const end = periodOf(kind, of.end).from;
  let isWhole = true;
  let oldest: number = first.micros;
  while (!signal.aborted && oldest < end) {
    if (!(await of.mayRemove())) return false;
    const period = periodOf(kind, oldest);
    if (!(await archiveOne(of, period))) isWhole = false;
    const next = await firstRow({
      ...{ columns: db.columns, kind, ticker, part, to: lastBefore(kind, end), behind: null, signal },
      from: boundsOfPeriod(kind, { from: period.until, until: end }).from,
    });
    oldest = next?.micros ?? end;
  }
  return isWhole;
}

/** @returns false: it has to wait. */
async function archiveOne(of: ArchivedRemoval, period: Period): Promise<boolean> {
  const { db, archive, kind, first, signal } = of;
  const series = { kind, ticker: first.ticker, part: first.part };
  const steps = await planSteps(of, period);
  try {
    const file = await archivePeriod({ archive, columns: db.columns, series, period, signal });
    for (const [index, step] of steps.entries()) {
      if ((await of.mayRemove()) && (await removeStep(of, step))) continue;
      // Rows that are deleted now must not come back out of it.
      if (index === 0) await file.withdraw();
      return false;
    }
    return true;
  } catch (error) {
    if (error instanceof ChangedError) return false;
    throw error;
  }
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
