/**
 * Checks one ticker of one subscriber, frame by frame, over all of its connections: each update
 * once, in the order of its positions, without a hole. One bit an update is kept.
 */
import { Bits } from "./bits.ts";
import type { Frame } from "./frames.ts";
import { type Kind, readNumbers } from "./numbered-saves.ts";
import { identityOf, type SeenUpdates } from "./seen-updates.ts";
import type { Fault } from "./violations.ts";

export interface TickerCounts {
  updates: number;
  lost: number;
  repeated: number;
  outOfOrder: number;
  recoveries: number;
}

export type Complain = (fault: Fault, what: string, count?: number) => void;

export class TickerCheck {
  readonly counts: TickerCounts = { updates: 0, lost: 0, repeated: 0, outOfOrder: 0, recoveries: 0 };
  /**
   * The first position that has to arrive is one more; null until the first frame that tells it.
   */
  base: number | null = null;
  /** Everything up to here has arrived; it comes back with this. */
  last = 0;
  /** Of the newest heartbeat. */
  heartbeat = -1;
  readonly #types: ReadonlySet<Kind> | null;
  readonly #seen: SeenUpdates;
  readonly #arrived = new Bits();
  readonly #complain: Complain;
  /** What a connection asked for, until it is answered. */
  #since: number | null = null;

  /** @param types null: all. */
  constructor(types: ReadonlySet<Kind> | null, seen: SeenUpdates, complain: Complain) {
    this.#types = types;
    this.#seen = seen;
    this.#complain = complain;
  }

  wants(kind: Kind): boolean {
    return this.#types === null || this.#types.has(kind);
  }

  /** It has asked to go on from somewhere, and isn't answered yet. */
  get isWaiting(): boolean {
    return this.#since !== null;
  }

  hasArrived(seq: number): boolean {
    return this.#arrived.has(seq);
  }

  /**
   * A connection or a message has asked to go on after this position. Null: it begins with what
   * comes.
   */
  asks(since: number | null): void {
    this.#since = since;
    if (since !== null) this.begin(since);
  }

  /** Updates count from here, if they don't yet. */
  begin(seq: number): void {
    if (this.base !== null) return;
    this.base = seq;
    this.last = seq;
  }

  take(frame: Extract<Frame, { symbol: string; seq: number }>): void {
    if (frame.kind === "update") this.#update(frame);
    else if (frame.kind === "heartbeat") this.beat(frame.seq);
    else if (frame.kind === "start") this.#start(frame.seq);
    else if (frame.kind === "recovered") this.#recovered(frame);
    else this.#notRecovered(frame.seq, frame.code);
  }

  /** The newest position of the ticker, as a heartbeat tells it. */
  beat(seq: number): void {
    this.#expectAnswered("a heartbeat");
    this.begin(seq);
    if (seq < this.last)
      this.#complain("heartbeat", `a heartbeat of position ${seq} after update ${this.last}`);
    if (seq > this.last && this.#types === null)
      this.#complain("heartbeat", `a heartbeat of position ${seq}, but the last update was ${this.last}`);
    // With a filter, what is between is of other types; that is looked up at the end.
    else if (seq > this.last) this.last = seq;
    this.heartbeat = seq;
  }

  #update({ seq, type, records }: Extract<Frame, { kind: "update" }>): void {
    this.#expectAnswered(`update ${seq}`);
    this.begin(seq - 1);
    this.counts.updates++;
    if (!this.wants(type)) this.#complain("content", `update ${seq} is a ${type}, which was not asked for`);
    this.#checkContent(seq, type, records);
    if (seq > this.last) {
      // Whether they come later, or never, is counted elsewhere.
      if (this.#types === null && seq !== this.last + 1)
        this.#complain("position", `updates ${this.last + 1} to ${seq - 1} are left out`);
      this.last = seq;
      this.#arrived.add(seq);
    } else if (this.#arrived.add(seq)) {
      this.counts.repeated++;
      this.#complain("repeated", `update ${seq} came again after ${this.last}`);
    } else {
      this.counts.outOfOrder++;
      this.#complain("out of order", `update ${seq} came after ${this.last}`);
    }
  }

  #checkContent(seq: number, type: Kind, records: unknown[]): void {
    const numbers = readNumbers(type, records);
    if (numbers === null) {
      this.#complain("content", `update ${seq} is not one whole save`);
      return;
    }
    const identity = identityOf(type, numbers.first);
    if (this.#seen.note(seq, identity) !== identity)
      this.#complain("content", `update ${seq} is another one for other subscribers`);
  }

  #start(seq: number): void {
    if (this.#since !== null || (this.base !== null && seq !== this.last)) {
      this.#complain(
        "protocol",
        `a price or snapshot at ${seq}, though it asked to go on after ${this.last}`,
      );
    }
    this.#since = null;
    this.begin(seq);
  }

  #recovered({ seq, from, to }: Extract<Frame, { kind: "recovered" }>): void {
    const since = this.#since;
    this.#since = null;
    this.counts.recoveries++;
    if (since === null && this.base !== null && seq !== this.last)
      this.#complain("protocol", `has had ${this.last}, recovered from ${seq} unasked`);
    if (since !== null && seq !== since)
      this.#complain("protocol", `asked to go on after ${since}, recovered from ${seq}`);
    if (from !== seq + 1 || !Number.isSafeInteger(to) || to < seq)
      this.#complain("protocol", `a recovery from ${from} to ${to} at position ${seq}`);
    this.begin(seq);
  }

  #notRecovered(seq: number, code: string): void {
    this.#since = null;
    this.#complain("not recovered", `asked to go on after ${this.last}, got ${code} at ${seq}`);
    this.base ??= seq;
    this.last = Math.max(this.last, seq);
  }

  #expectAnswered(what: string): void {
    if (this.#since === null) return;
    this.#complain("protocol", `${what} before the recovery after ${this.#since}`);
    this.#since = null;
  }
}
