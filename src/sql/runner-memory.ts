/**
 * The memory of all SQL runners of a server together: before it passes its bound, the greatest of
 * them is killed.
 */
import { MIB } from "../config/units.ts";
import type { BoardRunner, MemoryBoard } from "../memory/memory-board.ts";

/** Of the bound. What is above is for what the others take until a killed one has gone. */
const KILL_AT = 0.75;
/** The same with those that have been killed and not gone yet. */
const KILL_AT_WITH_DOOMED = 0.9;
/**
 * Of the bound: a runner below this is never the one to blame. One that does nothing takes 45 MB.
 */
const BLAMED_FROM = 0.1;
const BLAMED_FROM_BYTES = 100 * MIB;

/** @returns the one that has been killed. */
export function killGreatest(board: MemoryBoard, bytesMax: number): BoardRunner | null {
  const runners = board.runners();
  const going = sumOf(runners.filter(({ doomed }) => doomed));
  const staying = sumOf(runners) - going;
  if (staying <= bytesMax * KILL_AT && staying + going <= bytesMax * KILL_AT_WITH_DOOMED) return null;
  const blamedFrom = Math.max(bytesMax * BLAMED_FROM, Math.min(BLAMED_FROM_BYTES, bytesMax / 2));
  let greatest: BoardRunner | null = null;
  for (const runner of runners) {
    if (runner.doomed || runner.committing || runner.bytes < blamedFrom) continue;
    if (greatest === null || runner.bytes > greatest.bytes) greatest = runner;
  }
  return greatest !== null && board.doom(greatest) ? greatest : null;
}

function sumOf(runners: BoardRunner[]): number {
  return runners.reduce((sum, { bytes }) => sum + bytes, 0);
}
