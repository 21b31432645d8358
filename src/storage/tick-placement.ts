/**
 * Says which ticks of a save are stored already, and gives the others their place: see `SaveTicks`.
 * An engine gives the stored ticks of the stamps, once for all saves of a transaction, and writes
 * the changes. Each save is placed in what those before it have left.
 *
 * A tick with an id is the stored one of this id. Otherwise equal values decide, as sets with
 * repetition: the n-th of a save's equal ticks is the n-th stored one, or new. What a tick doesn't
 * bring, an id or other columns, any stored tick of its values may have; a stored tick that lacks
 * them gets them.
 */
import type { Count, SaveCounts, SaveOutcome, SaveTicks, TickRow } from "./contract.ts";
import { comparableCount } from "./count-text.ts";
import { keysTaken } from "./save-refusals.ts";

export interface TickValues {
  price: number | null;
  /** Digits. */
  size: string | null;
  askPrice: number | null;
  askSize: string | null;
  id: string | null;
  extra: string | null;
}

export interface TickSlot extends TickValues {
  isStored: boolean;
  /** Null: nothing to write. */
  change: "new" | "replace" | null;
}

/** The ticks of one stamp of one series, stored or to be stored, by `seq`. */
export class StampTicks {
  readonly slots = new Map<number, TickSlot>();
  #last = -1;
  /** Made when first asked, as most stamps have one tick. */
  #index: { byId: Map<string, number>; byValues: Map<string, number[]> } | null = null;

  /** A tick that the database holds. */
  addStored(seq: number, values: TickValues): void {
    this.#set(seq, { ...values, isStored: true, change: null });
  }

  add(seq: number, values: TickValues): void {
    this.#set(seq, { ...values, isStored: false, change: "new" });
  }

  /** @returns Whether anything is new. */
  overwrite(seq: number, values: TickValues): boolean {
    const there = this.slots.get(seq)!;
    if (isSame(there, values)) return false;
    Object.assign(there, values);
    there.change ??= "replace";
    this.#index = null;
    return true;
  }

  /** After the last of those that are there; where that is no number, the first free one. */
  get nextSeq(): number {
    if (this.#last < Number.MAX_SAFE_INTEGER) return this.#last + 1;
    let seq = 0;
    while (this.slots.has(seq)) seq++;
    return seq;
  }

  seqOfId(id: string): number | undefined {
    return this.slots.size === 0 ? undefined : this.#indexed().byId.get(id);
  }

  /** In order of `seq`; whoever asks must not change it. */
  seqsOfValues(key: string): readonly number[] {
    return this.slots.size === 0 ? [] : (this.#indexed().byValues.get(key) ?? []);
  }

  #set(seq: number, slot: TickSlot): void {
    this.slots.set(seq, slot);
    if (seq > this.#last) this.#last = seq;
    if (this.#index !== null) addTo(this.#index, seq, slot);
  }

  #indexed() {
    if (this.#index !== null) return this.#index;
    this.#index = { byId: new Map(), byValues: new Map() };
    const inOrder = [...this.slots].sort(([a], [b]) => a - b);
    for (const [seq, slot] of inOrder) addTo(this.#index, seq, slot);
    return this.#index;
  }
}

function addTo(
  { byId, byValues }: { byId: Map<string, number>; byValues: Map<string, number[]> },
  seq: number,
  slot: TickSlot,
): void {
  if (slot.id !== null) byId.set(slot.id, seq);
  const key = keyOf(slot);
  const seqs = byValues.get(key);
  if (seqs === undefined) byValues.set(key, [seq]);
  else seqs.push(seq);
}

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
  for (const [index, row] of save.rows.entries()) placement.place(row, save.occurrences?.[index]);
  return { outcome: { ok: true, ...placement.counts, position: null }, metStored: placement.metStored };
}

/** What the ticks of one stamp of a save have come to. */
class StampOfSave {
  readonly ticks: StampTicks;
  /** The stored ones, and those before it of the save, which a tick of the save stands for. */
  readonly claimed = new Set<number>();
  /** Those that a tick with a place of its own has claimed at this place. */
  readonly claimedAtPlace = new Set<number>();
  /** Ticks of the save that named no place. */
  unplaced = 0;
  /** Of each text of values, how many equal ticks the save had before. */
  readonly #seen = new Map<string, number>();
  /** Of each text of values, up to which place of its list all ticks are claimed. */
  readonly #passed = new Map<string, { seqs: readonly number[]; count: number }>();

  constructor(ticks: StampTicks) {
    this.ticks = ticks;
  }

  /**
   * A stored tick that it may be and no other of the save is, those with the same columns first.
   *
   * @param before so many of them are others.
   */
  find(values: TickValues, before: number): number | undefined {
    const key = keyOf(values);
    const seqs = this.ticks.seqsOfValues(key);
    const lacking: number[] = [];
    let left = before;
    for (let index = this.#passedOf(key, seqs); index < seqs.length; index++) {
      const seq = seqs[index]!;
      const slot = this.ticks.slots.get(seq)!;
      if (this.claimed.has(seq) || !isLike(slot, values)) continue;
      if (values.extra !== null && slot.extra === null) lacking.push(seq);
      else if (left-- === 0) return seq;
    }
    return lacking[left];
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
  #passedOf(key: string, seqs: readonly number[]): number {
    if (seqs.length === 0) return 0;
    let passed = this.#passed.get(key);
    if (passed?.seqs !== seqs) {
      passed = { seqs, count: 0 };
      this.#passed.set(key, passed);
    }
    while (passed.count < seqs.length && this.claimed.has(seqs[passed.count]!)) passed.count++;
    return passed.count;
  }
}

class Placement {
  readonly counts: SaveCounts = { stored: 0 };
  metStored = false;
  readonly #onDuplicate: SaveTicks["onDuplicate"];
  readonly #ticksOf: (stamp: string) => StampTicks;
  readonly #digitsOf: DigitsOf;
  readonly #stamps = new Map<string, StampOfSave>();
  #lastStamp = "";
  #last: StampOfSave | null = null;

  constructor(
    onDuplicate: SaveTicks["onDuplicate"],
    ticksOf: (stamp: string) => StampTicks,
    digitsOf: DigitsOf,
  ) {
    this.#onDuplicate = onDuplicate;
    this.#ticksOf = ticksOf;
    this.#digitsOf = digitsOf;
  }

  place(row: TickRow, occurrence: number | undefined): void {
    const at = this.#stampOf(row[0]);
    const values = valuesOf(row, this.#digitsOf);
    const place = row[7];
    const rank = place === null ? at.unplaced++ : place;
    if (values.id !== null) this.#placeById(at, values, place);
    else if (this.#onDuplicate === "replace") this.#put(at, rank, values);
    else if (this.#onDuplicate === "append") this.#add(at, place, values);
    else this.#match(at, values, place, occurrence);
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

  #placeById(at: StampOfSave, values: TickValues, place: number | null): void {
    const known = at.ticks.seqOfId(values.id!);
    if (known !== undefined) {
      const mayChange = this.#onDuplicate === "match" || this.#onDuplicate === "replace";
      if (mayChange) this.#put(at, known, values);
      else this.#keep(at, known, values);
      return;
    }
    const unnamed = at.find(values, 0);
    if (unnamed === undefined) this.#add(at, place, values);
    else this.#claim(at, unnamed, values);
  }

  /** At this `seq`, whatever is there. */
  #put({ ticks, claimed }: StampOfSave, seq: number, values: TickValues): void {
    claimed.add(seq);
    const there = ticks.slots.get(seq);
    if (there === undefined) {
      ticks.add(seq, values);
      this.counts.stored++;
      return;
    }
    this.metStored ||= there.isStored;
    this.#count(ticks.overwrite(seq, values) ? "replaced" : "repeated");
  }

  #keep({ ticks, claimed }: StampOfSave, seq: number, values: TickValues): void {
    claimed.add(seq);
    const there = ticks.slots.get(seq)!;
    this.metStored ||= there.isStored;
    this.#count(isSame(there, values) ? "repeated" : "skipped");
  }

  #add({ ticks, claimed }: StampOfSave, place: number | null, values: TickValues): void {
    const isFree = place !== null && !ticks.slots.has(place);
    const seq = isFree ? place : ticks.nextSeq;
    // It would have another place if nothing were stored.
    this.metStored ||= ticks.slots.values().next().value?.isStored === true;
    ticks.add(seq, values);
    claimed.add(seq);
    this.counts.stored++;
  }

  #match(at: StampOfSave, values: TickValues, place: number | null, occurrence: number | undefined): void {
    const there = place === null ? undefined : at.ticks.slots.get(place);
    if (place !== null && there === undefined) {
      at.claimedAtPlace.add(place);
      this.#add(at, place, values);
      return;
    }
    if (there !== undefined && isLike(there, values)) {
      if (!at.claimed.has(place!) || at.claimedAtPlace.has(place!)) {
        at.claimedAtPlace.add(place!);
        this.#claim(at, place!, values);
        return;
      }
    }
    const seq = at.find(values, at.before(values, occurrence));
    if (seq === undefined) this.#add(at, place, values);
    else this.#claim(at, seq, values);
  }

  /** It is this stored tick, which gets what it lacks. */
  #claim({ ticks, claimed }: StampOfSave, seq: number, values: TickValues): void {
    claimed.add(seq);
    const there = ticks.slots.get(seq)!;
    this.metStored ||= there.isStored;
    const { id, extra } = there;
    const isMore = (id === null && values.id !== null) || (extra === null && values.extra !== null);
    if (isMore && this.#onDuplicate !== "keep") {
      ticks.overwrite(seq, { ...there, id: id ?? values.id, extra: extra ?? values.extra });
      this.#count("replaced");
    } else this.#count("repeated");
  }

  #count(what: "replaced" | "repeated" | "skipped"): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

/** For `onDuplicate` "error". @returns null: all keys are free. */
function refuseTaken(
  { ticker, part, rows }: SaveTicks,
  ticksOf: (stamp: string) => StampTicks,
): SaveOutcome | null {
  const unplaced = new Map<string, number>();
  const keys: string[] = [];
  for (const [stamp, , , , , id, , place] of rows) {
    const rank = place ?? unplaced.get(stamp) ?? 0;
    if (place === null) unplaced.set(stamp, rank + 1);
    const ticks = ticksOf(stamp);
    if (id !== null) {
      if (ticks.seqOfId(id) !== undefined) keys.push(`${stamp} id ${id}`);
    } else if (ticks.slots.has(rank)) keys.push(`${stamp} seq ${rank}`);
  }
  return keys.length === 0 ? null : keysTaken(`save_realtime_data: ${ticker} ${part}`, keys);
}

function valuesOf([, price, size, askPrice, askSize, id, extra]: TickRow, digitsOf: DigitsOf): TickValues {
  return { price, size: digitsOf(size), askPrice, askSize: digitsOf(askSize), id, extra };
}

/** The stored one may lack what the other has, and have what it lacks. */
function isLike(stored: TickValues, sent: TickValues): boolean {
  return (
    keyOf(stored) === keyOf(sent) &&
    (stored.id === null || sent.id === null || stored.id === sent.id) &&
    (stored.extra === null || sent.extra === null || stored.extra === sent.extra)
  );
}

function isSame(a: TickValues, b: TickValues): boolean {
  return keyOf(a) === keyOf(b) && a.id === b.id && a.extra === b.extra;
}

function keyOf({ price, size, askPrice, askSize }: TickValues): string {
  return `${price}|${comparableCount(size)}|${askPrice}|${comparableCount(askSize)}`;
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
