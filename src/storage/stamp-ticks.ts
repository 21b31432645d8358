/** The ticks of one stamp of one series, as saves meet them. */
import { comparableCount } from "./count-text.ts";

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

/** Stored, or to be stored, by `seq`. */
export class StampTicks {
  readonly slots = new Map<number, TickSlot>();
  #last = -1;
  /** These are made when first asked, as most stamps have one tick. */
  #byId: Map<string, number> | null = null;
  /** In order of `seq`, by the names of `listsOf`. */
  #alike: Map<string, number[]> | null = null;
  #isStale = false;

  /** A tick that the database holds. */
  addStored(seq: number, values: TickValues): void {
    this.#set(seq, { ...values, isStored: true, change: null });
  }

  add(seq: number, values: TickValues): void {
    this.#set(seq, { ...values, isStored: false, change: "new" });
  }

  /**
   * From the next save on, `seqsLike` knows it by its new values. Within this one nobody asks:
   * a tick that was overwritten stands for a record already.
   *
   * @returns Whether anything is new.
   */
  overwrite(seq: number, values: TickValues): boolean {
    const there = this.slots.get(seq)!;
    if (isSame(there, values)) return false;
    this.#isStale = true;
    if (this.#byId !== null && there.id !== values.id) {
      if (there.id !== null && this.#byId.get(there.id) === seq) this.#byId.delete(there.id);
      if (values.id !== null) this.#byId.set(values.id, seq);
    }
    Object.assign(there, values);
    there.change ??= "replace";
    return true;
  }

  /** Another save comes. */
  beginSave(): void {
    if (this.#isStale) this.#alike = null;
    this.#isStale = false;
  }

  /** After the last of those that are there; where that is no number, the first free one. */
  get nextSeq(): number {
    if (this.#last < Number.MAX_SAFE_INTEGER) return this.#last + 1;
    let seq = 0;
    while (this.slots.has(seq)) seq++;
    return seq;
  }

  seqOfId(id: string): number | undefined {
    if (this.#byId === null) {
      if (this.slots.size === 0) return undefined;
      this.#byId = new Map();
      for (const [seq, slot] of this.slots) if (slot.id !== null) this.#byId.set(slot.id, seq);
    }
    return this.#byId.get(id);
  }

  /**
   * Ticks that a record with these values may be, the most alike first; nobody may change them.
   *
   * @param likeness "same": only those with the same other columns.
   */
  seqsLike(values: TickValues, likeness: "same" | "any"): (readonly number[])[] {
    this.#alike ??= this.#listed();
    const lists: number[][] = [];
    const names = listsFor(values);
    for (const name of likeness === "any" ? names : names.slice(0, names.length / 2)) {
      const list = this.#alike.get(name);
      if (list !== undefined) lists.push(list);
    }
    return lists;
  }

  #set(seq: number, slot: TickSlot): void {
    this.slots.set(seq, slot);
    if (seq > this.#last) this.#last = seq;
    if (slot.id !== null) this.#byId?.set(slot.id, seq);
    if (this.#alike !== null) addTo(this.#alike, seq, slot);
  }

  #listed(): Map<string, number[]> {
    const alike = new Map<string, number[]>();
    const inOrder = [...this.slots].sort(([a], [b]) => a - b);
    for (const [seq, slot] of inOrder) addTo(alike, seq, slot);
    return alike;
  }
}

function addTo(alike: Map<string, number[]>, seq: number, slot: TickSlot): void {
  for (const name of listsOf(slot)) {
    const seqs = alike.get(name);
    if (seqs === undefined) alike.set(name, [seq]);
    else seqs.push(seq);
  }
}

/** Ticks with an id and without one, by their values; with other columns also by these. */
function listsOf(slot: TickSlot): string[] {
  const key = `${slot.id === null ? "" : "id"}|${keyOf(slot)}`;
  return slot.extra === null ? [`none${key}`] : [`any${key}`, `extra${key}|${slot.extra}`];
}

/**
 * One with an id is no tick of another id. One without may be any, those without id first. The
 * first half is of the same other columns.
 */
function listsFor(values: TickValues): string[] {
  const key = `|${keyOf(values)}`;
  const withId = `id${key}`;
  const { id, extra } = values;
  if (extra === null)
    return id === null
      ? [`none${key}`, `none${withId}`, `any${key}`, `any${withId}`]
      : [`none${key}`, `any${key}`];
  const end = `|${extra}`;
  return id === null
    ? [`extra${key}${end}`, `extra${withId}${end}`, `none${key}`, `none${withId}`]
    : [`extra${key}${end}`, `none${key}`];
}

/** The stored one may lack what the other has, and have what it lacks. */
export function isLike(stored: TickValues, sent: TickValues): boolean {
  return (
    areEqual(stored, sent) &&
    (stored.id === null || sent.id === null || stored.id === sent.id) &&
    (stored.extra === null || sent.extra === null || stored.extra === sent.extra)
  );
}

export function isSame(a: TickValues, b: TickValues): boolean {
  return areEqual(a, b) && a.id === b.id && a.extra === b.extra;
}

function areEqual(a: TickValues, b: TickValues): boolean {
  return (
    a.price === b.price &&
    a.askPrice === b.askPrice &&
    isSameCount(a.size, b.size) &&
    isSameCount(a.askSize, b.askSize)
  );
}

function isSameCount(a: string | null, b: string | null): boolean {
  return a === b || comparableCount(a) === comparableCount(b);
}

/** One text for equal prices and sizes. */
export function keyOf({ price, size, askPrice, askSize }: TickValues): string {
  return `${price}|${comparableCount(size)}|${askPrice}|${comparableCount(askSize)}`;
}
