/**
 * Says which ticks of a save are stored already, and gives the others their place: see `SaveTicks`.
 * An engine gives the stored ticks of the stamps, once for all saves of a transaction, and writes
 * the changes. Each save is placed in what those before it have left.
 *
 * A tick with an id is the stored one of this id. Otherwise equal values decide, as sets with
 * repetition: the n-th of a save's equal ticks is the n-th stored one, or new. What a tick doesn't
 * bring, an id or other columns, any stored tick of its values may have; a stored tick that lacks
 * them gets them. A stored tick is one of the save's: of those that it may be, the one with an id
 * comes first, then those with other columns.
 */
import type { Count, SaveCounts, SaveOutcome, SaveTicks, TickRow } from "./contract.ts";
import { keysTaken, keysTwice } from "./save-refusals.ts";
import { isLike, isSame, keyOf, type StampTicks, type TickValues } from "./stamp-ticks.ts";

export interface PlacedTicks {
  /** It has no position yet. */
  outcome: SaveOutcome;
  /** A tick met a stored one: without it the changes would differ. */
  metStored: boolean;
}

/** How the engine writes a count: equal counts have equal digits, but for zeros at the end. */
export type DigitsOf = (count: Count | null) => string | null;

/** Writes the changes into the stamps. */
export function placeTicks(
  save: SaveTicks,
  ticksOf: (stamp: string) => StampTicks,
  digitsOf: DigitsOf,
): PlacedTicks {
  if (save.onDuplicate === "error") {
    const refused = refuseTaken(save, ticksOf);
    if (refused !== null) return { outcome: refused, metStored: true };
  }
  const placement = new Placement(save.onDuplicate, ticksOf, digitsOf);
  const { rows, occurrences } = save;
  const tickOf = (row: TickRow, index: number): SentTick => placement.tickOf(row, occurrences?.[index]);
  if (areOfOneKind(save)) for (const [index, row] of rows.entries()) placement.place(tickOf(row, index));
  else placement.placeMixed(rows.map(tickOf));
  return { outcome: { ok: true, ...placement.counts, position: null }, metStored: placement.metStored };
}

/** What the ticks of one stamp of a save have come to. */
class StampOfSave {
  readonly ticks: StampTicks;
  /** The stored ones, and those before it of the save, which a tick of the save stands for. */
  readonly claimed = new Set<number>();
  /** Those that a tick with a place of its own has claimed at this place. */
  readonly claimedAtPlace = new Set<number>();
  /** Ids of a mixed save, and which stored ticks they are. */
  readonly ids = new Map<string, number | undefined>();
  /** Ticks of the save that named no place. */
  unplaced = 0;
  /** Of each text of values, how many equal ticks the save had before. */
  readonly #seen = new Map<string, number>();
  /** Up to which place of a list of like ticks all are claimed. */
  readonly #passed = new Map<readonly number[], number>();

  constructor(ticks: StampTicks) {
    this.ticks = ticks;
    ticks.beginSave();
  }

  /**
   * A stored tick that it may be and no other of the save is.
   *
   * @param before so many of them are others.
   * @param likeness "same": it has the same other columns.
   */
  find(values: TickValues, before: number, likeness: "same" | "any" = "any"): number | undefined {
    if (this.claimed.size === this.ticks.slots.size) return undefined;
    let left = before;
    for (const seqs of this.ticks.seqsLike(values, likeness)) {
      for (let index = this.#passedOf(seqs); index < seqs.length; index++) {
        const seq = seqs[index]!;
        if (!this.claimed.has(seq) && left-- === 0) return seq;
      }
    }
    return undefined;
  }

  /** How many equal ticks are stored that others than this save brought before. */
  before(values: TickValues, occurrence: number | undefined): number {
    if (occurrence === undefined) return 0;
    const key = `${keyOf(values)}|${values.extra}`;
    const seen = this.#seen.get(key) ?? 0;
    this.#seen.set(key, seen + 1);
    return Math.max(0, occurrence - seen);
  }

  /** Thousands of equal ticks are not looked through for each of them. */
  #passedOf(seqs: readonly number[]): number {
    let count = this.#passed.get(seqs) ?? 0;
    while (count < seqs.length && this.claimed.has(seqs[count]!)) count++;
    if (count > 0) this.#passed.set(seqs, count);
    return count;
  }
}

/** A tick of the save. */
interface SentTick {
  at: StampOfSave;
  values: TickValues;
  /** It named this place itself. */
  place: number | null;
  /** Its place among the ticks of its stamp, where it named none. */
  rank: number;
  /** As `StampOfSave.find`. */
  before: number;
}

class Placement {
  readonly counts: SaveCounts = { stored: 0 };
  metStored = false;
  readonly #rule: SaveTicks["onDuplicate"];
  readonly #ticksOf: (stamp: string) => StampTicks;
  readonly #digitsOf: DigitsOf;
  readonly #stamps = new Map<string, StampOfSave>();
  #lastStamp = "";
  #last: StampOfSave | null = null;

  constructor(rule: SaveTicks["onDuplicate"], ticksOf: (stamp: string) => StampTicks, digitsOf: DigitsOf) {
    this.#rule = rule;
    this.#ticksOf = ticksOf;
    this.#digitsOf = digitsOf;
  }

  /** Called for each row, in order. */
  tickOf(row: TickRow, occurrence: number | undefined): SentTick {
    const at = this.#stampOf(row[0]);
    const values = valuesOf(row, this.#digitsOf);
    const place = row[7];
    const before = values.id === null ? at.before(values, occurrence) : 0;
    return { at, values, place, rank: place ?? at.unplaced++, before };
  }

  place(tick: SentTick): void {
    this.#settle(tick, this.#storedOf(tick));
  }

  /** What says more of itself is first to say which stored tick it is. */
  placeMixed(ticks: SentTick[]): void {
    const stored = new Array<number | undefined>(ticks.length);
    for (let detail = DETAIL_MAX; detail >= 0; detail--) {
      for (const [index, tick] of ticks.entries()) {
        const { at, values } = tick;
        if (detailOf(values, this.#rule) !== detail) continue;
        if (values.id !== null && at.ids.has(values.id)) continue;
        const seq = this.#storedOf(tick);
        if (values.id !== null) at.ids.set(values.id, seq);
        if (seq === undefined || at.claimed.has(seq)) continue;
        claim(tick, seq);
        stored[index] = seq;
      }
    }
    // What is new gets its place in the order of the save. What names an id or a place again is
    // what the first one has become.
    for (const [index, tick] of ticks.entries()) {
      const { at, values } = tick;
      const known = stored[index] ?? (values.id === null ? undefined : at.ids.get(values.id));
      this.#settle(tick, known ?? this.#storedOf(tick));
    }
  }

  #stampOf(stamp: string): StampOfSave {
    if (this.#last !== null && stamp === this.#lastStamp) return this.#last;
    let at = this.#stamps.get(stamp);
    if (at === undefined) {
      at = new StampOfSave(this.#ticksOf(stamp));
      this.#stamps.set(stamp, at);
    }
    this.#lastStamp = stamp;
    this.#last = at;
    return at;
  }

  /** Which one it is of those that are there; undefined: it is new. */
  #storedOf({ at, values, place, rank, before }: SentTick): number | undefined {
    const isNew = this.#rule === "append" || this.#rule === "request";
    if (values.id !== null)
      return at.ticks.seqOfId(values.id) ?? (isNew ? undefined : at.find(values, before));
    if (isNew) return undefined;
    const there = at.ticks.slots.get(rank);
    const isFree = there !== undefined && !at.claimed.has(rank);
    if (this.#rule === "replace" && isFree) return rank;
    if (place !== null) {
      if (there === undefined) return undefined;
      const isThere = this.#rule === "replace" ? isSame(there, values) : isLike(there, values);
      if (isThere && (isFree || at.claimedAtPlace.has(place)))
        return (there.extra === values.extra ? undefined : at.find(values, before, "same")) ?? place;
    }
    // Nothing has its place yet, or another one of the save does.
    return this.#rule === "replace" && there === undefined ? undefined : at.find(values, before);
  }

  /** @param seq the one that it is; undefined: it is new. */
  #settle(tick: SentTick, seq: number | undefined): void {
    const { at, values, place, rank } = tick;
    const isOfPlace = values.id === null && this.#rule === "replace";
    claim(tick, seq ?? this.#add(at, isOfPlace ? rank : place, values));
    if (seq === undefined) return;
    const there = at.ticks.slots.get(seq)!;
    this.metStored ||= there.isStored;
    if (this.#rule === "replace") this.#overwrite(at, seq, values);
    else if (values.id === null || there.id === null) this.#complete(at, seq, values);
    else this.#correct(at, seq, values);
  }

  #add({ ticks }: StampOfSave, place: number | null, values: TickValues): number {
    const isFree = place !== null && !ticks.slots.has(place);
    const seq = isFree ? place : ticks.nextSeq;
    // It would have another place if nothing were stored.
    this.metStored ||= ticks.slots.values().next().value?.isStored === true;
    ticks.add(seq, values);
    this.counts.stored++;
    return seq;
  }

  /** The stored one has its id. */
  #correct(at: StampOfSave, seq: number, values: TickValues): void {
    const there = at.ticks.slots.get(seq)!;
    // What it doesn't bring stays.
    const whole = values.extra === null ? { ...values, extra: there.extra } : values;
    if (this.#rule === "match" || this.#rule === "request") this.#overwrite(at, seq, whole);
    else this.#count(isSame(there, whole) ? "repeated" : "skipped");
  }

  /** The stored one is like it, and gets what it lacks. */
  #complete(at: StampOfSave, seq: number, values: TickValues): void {
    const there = at.ticks.slots.get(seq)!;
    const lacks =
      (there.id === null && values.id !== null) || (there.extra === null && values.extra !== null);
    if (lacks && this.#rule !== "keep")
      this.#overwrite(at, seq, { ...there, id: there.id ?? values.id, extra: there.extra ?? values.extra });
    else this.#count("repeated");
  }

  #overwrite({ ticks }: StampOfSave, seq: number, values: TickValues): void {
    this.#count(ticks.overwrite(seq, values) ? "replaced" : "repeated");
  }

  #count(what: "replaced" | "repeated" | "skipped"): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

function claim({ at, values, place }: SentTick, seq: number): void {
  at.claimed.add(seq);
  if (values.id === null && seq === place) at.claimedAtPlace.add(seq);
}

const DETAIL_MAX = 3;

/** How much a tick says of which one it is. One that replaces without an id goes by its place. */
function detailOf({ id, extra }: Pick<TickValues, "id" | "extra">, rule: SaveTicks["onDuplicate"]): number {
  if (id === null) return extra === null || rule === "replace" ? 0 : 1;
  return extra === null ? 2 : DETAIL_MAX;
}

/** Then which one comes first makes no difference. */
function areOfOneKind({ rows, onDuplicate }: SaveTicks): boolean {
  const first = rows[0];
  if (first === undefined || onDuplicate === "append" || onDuplicate === "request") return true;
  const detail = detailOf({ id: first[5], extra: first[6] }, onDuplicate);
  return rows.every(([, , , , , id, extra]) => detailOf({ id, extra }, onDuplicate) === detail);
}

/** For `onDuplicate` "error". @returns null: all keys are free. */
function refuseTaken(
  { ticker, part, rows }: SaveTicks,
  ticksOf: (stamp: string) => StampTicks,
): SaveOutcome | null {
  const unplaced = new Map<string, number>();
  const seen = new Set<string>();
  const taken: string[] = [];
  const twice: string[] = [];
  for (const [stamp, , , , , id, , place] of rows) {
    const rank = place ?? unplaced.get(stamp) ?? 0;
    if (place === null) unplaced.set(stamp, rank + 1);
    const ticks = ticksOf(stamp);
    const key = id === null ? `${stamp} seq ${rank}` : `${stamp} id ${id}`;
    if (id === null ? ticks.slots.has(rank) : ticks.seqOfId(id) !== undefined) taken.push(key);
    if (seen.has(key)) twice.push(key);
    seen.add(key);
  }
  const what = `save_realtime_data: ${ticker} ${part}`;
  // First what is so whatever is stored: an engine may take all ticks to be new.
  if (twice.length > 0) return keysTwice(what, twice);
  return taken.length > 0 ? keysTaken(what, taken) : null;
}

function valuesOf([, price, size, askPrice, askSize, id, extra]: TickRow, digitsOf: DigitsOf): TickValues {
  return { price, size: digitsOf(size), askPrice, askSize: digitsOf(askSize), id, extra };
}

/**
 * Whether the rows are later than all that is stored, in order, and without what only a comparison
 * could tell: an id among ticks that share a stamp. All are new then, whatever the rule; one
 * without a place follows the row before it.
 *
 * @param newest the newest stored stamp; "": there is none.
 */
export function areNew(rows: readonly TickRow[], newest: string): boolean {
  const isPlaced = rows[0]?.[7] !== null;
  let before: TickRow | null = null;
  for (const row of rows) {
    if ((row[7] !== null) !== isPlaced || row[0] <= newest) return false;
    if (before !== null && !isAfter(row, before)) return false;
    before = row;
  }
  return true;
}

function isAfter(row: TickRow, before: TickRow): boolean {
  if (row[0] !== before[0]) return row[0] > before[0];
  if (row[5] !== null || before[5] !== null) return false;
  return row[7] === null || row[7] > before[7]!;
}
