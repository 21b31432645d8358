/** The rule of `SaveTicks`: the `seq` that a tick begins with, and when it is stored already. */
import type { SaveOutcome, SaveTicks, TickRow } from "./contract.ts";
import { keysTaken } from "./save-refusals.ts";

/** Counts records without `seq` that share a stamp within the save: 0, 1, 2 … */
export function withSeq(rows: TickRow[]): [row: TickRow, seq: number][] {
  if (rows.length === 1) return [[rows[0]!, rows[0]![5] ?? 0]];
  const counts = new Map<string, number>();
  return rows.map((row) => {
    if (row[5] !== null) return [row, row[5]];
    const seq = counts.get(row[0]) ?? 0;
    counts.set(row[0], seq + 1);
    return [row, seq];
  });
}

/** For `onDuplicate` "error". @returns null: all keys are free. */
export function refuseTaken(
  { ticker, part }: SaveTicks,
  rows: [row: TickRow, seq: number][],
  isTaken: (stamp: string, seq: number) => boolean,
): SaveOutcome | null {
  const taken = rows.filter(([row, seq]) => isTaken(row[0], seq));
  if (taken.length === 0) return null;
  const keys = taken.map(([row, seq]) => `${row[0]} seq ${seq}`);
  return keysTaken(`save_realtime_data: ${ticker} ${part}`, keys);
}

/**
 * Which stored rows the records of one save stand for. Otherwise two equal trades of one save would
 * count as one, if a stored row of other values had moved the first to the next `seq`. It notes
 * only stamps that the save has more than once.
 */
export class Claims {
  readonly #byStamp = new Map<string, Map<number, { byOwnKey: boolean }>>();

  constructor(rows: [row: TickRow, seq: number][]) {
    if (rows.length === 1) return;
    const seen = new Set<string>();
    for (const [row] of rows) {
      if (seen.has(row[0])) this.#byStamp.set(row[0], new Map());
      seen.add(row[0]);
    }
  }

  claim(row: TickRow, firstSeq: number, seq: number): void {
    this.#byStamp.get(row[0])?.set(seq, { byOwnKey: row[5] !== null && seq === firstSeq });
  }

  isClaimed(row: TickRow, seq: number): boolean {
    return this.#byStamp.get(row[0])?.has(seq) === true;
  }

  /** A row of equal values is this record, unless another record of this save claimed it. */
  isDuplicate(row: TickRow, firstSeq: number, seq: number): boolean {
    const claim = this.#byStamp.get(row[0])?.get(seq);
    return claim === undefined || (claim.byOwnKey && row[5] !== null && seq === firstSeq);
  }
}
