/**
 * The stored ticks of one stamp, for records whose own key is taken. A record that is stored under
 * another `seq` is found; any other gets the next free one. They are kept in memory, since some
 * feeds send dates only: a search in the database for each of many ticks of one stamp would take
 * their product.
 */

export interface StoredTick {
  price: number | null;
  size: number | null;
  ask_price: number | null;
  ask_size: number | null;
}

export class TakenSeqs {
  /** By values, ascending, without those that a record of this save stands for. */
  readonly #unclaimed = new Map<string, number[]>();
  /** Runs without a gap, ascending. */
  readonly #runs: [first: number, last: number][] = [];

  /** @param stored ascending by `seq`. */
  constructor(stored: Iterable<StoredTick & { seq: number }>, isClaimed: (seq: number) => boolean) {
    for (const tick of stored) {
      const run = this.#runs.at(-1);
      if (run !== undefined && run[1] === tick.seq - 1) run[1] = tick.seq;
      else this.#runs.push([tick.seq, tick.seq]);
      if (isClaimed(tick.seq)) continue;
      const key = keyOf(tick);
      const seqs = this.#unclaimed.get(key);
      if (seqs === undefined) this.#unclaimed.set(key, [tick.seq]);
      else seqs.push(tick.seq);
    }
  }

  /**
   * Places a tick whose key `firstSeq` is taken, and claims or takes its place.
   *
   * @returns The first `seq` in the run of `firstSeq` with the same values, or the first free one.
   */
  place(tick: StoredTick, firstSeq: number): { seq: number; isStored: boolean } {
    const last = this.#runs[this.#runOf(firstSeq)]?.[1] ?? firstSeq;
    const seqs = this.#unclaimed.get(keyOf(tick)) ?? [];
    const at = lowerBound(seqs.length, (index) => seqs[index]! > firstSeq);
    const found = seqs[at];
    if (found !== undefined && found <= last) {
      seqs.splice(at, 1);
      return { seq: found, isStored: true };
    }
    this.take(last + 1);
    return { seq: last + 1, isStored: false };
  }

  /** A record was stored under this `seq`, which was free. */
  take(seq: number): void {
    const at = lowerBound(this.#runs.length, (index) => this.#runs[index]![0] > seq);
    const before = this.#runs[at - 1];
    const after = this.#runs[at];
    const touchesBefore = before !== undefined && before[1] === seq - 1;
    const touchesAfter = after !== undefined && after[0] === seq + 1;
    if (touchesBefore && touchesAfter) {
      before[1] = after[1];
      this.#runs.splice(at, 1);
    } else if (touchesBefore) before[1] = seq;
    else if (touchesAfter) after[0] = seq;
    else this.#runs.splice(at, 0, [seq, seq]);
  }

  /** A record is the tick that is stored under its own key. */
  claim(tick: StoredTick, seq: number): void {
    const seqs = this.#unclaimed.get(keyOf(tick)) ?? [];
    const at = lowerBound(seqs.length, (index) => seqs[index]! >= seq);
    if (seqs[at] === seq) seqs.splice(at, 1);
  }

  /** The run that begins at or before the `seq`. */
  #runOf(seq: number): number {
    return lowerBound(this.#runs.length, (index) => this.#runs[index]![0] > seq) - 1;
  }
}

function keyOf({ price, size, ask_price, ask_size }: StoredTick): string {
  return JSON.stringify([price, size, ask_price, ask_size]);
}

/** Binary search: the first index for which `holds` is true, as it is for all after it. */
function lowerBound(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
