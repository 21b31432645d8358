/** What went wrong, with what was seen around it. Bounded, however much goes wrong. */

export type Fault =
  | "lost"
  | "repeated"
  | "out of order"
  | "position"
  | "heartbeat"
  | "not recovered"
  | "epoch"
  | "content"
  | "protocol";

export interface Violation {
  fault: Fault;
  /** The subscriber, or whoever else saw it. */
  who: string;
  ticker: string;
  what: string;
  /** As they came; the last but FRAMES_AFTER is the one that it was noticed at. */
  frames: string[];
}

/** Frames kept from before and after. */
export const FRAMES_BEFORE = 6;
export const FRAMES_AFTER = 2;
const KEPT_MAX = 25;

export class Violations {
  readonly kept: Violation[] = [];
  total = 0;

  /** @param count of updates that it concerns. */
  add(violation: Violation, count = 1): void {
    this.total += count;
    if (this.kept.length < KEPT_MAX) this.kept.push(violation);
  }
}
