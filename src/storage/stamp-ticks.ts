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

interface Index {
  byId: Map<string, number>;
  /** In order of `seq`, by the names of `listsOf`. */
  alike: Map<string, number[]>;
}

/** Stored, or to be stored, by `seq`. */
export class StampTicks {
  readonly slots = new Map<number, TickSlot>();
  #last = -1;
  /** Made when first asked, as most stamps have one tick. */
  #index: Index | null = null;
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
    if (this.#index !== null) {
      this.#isStale = true;
      if (there.id !== null && this.#index.byId.get(there.id) === seq) this.#index.byId.delete(there.id);
      if (values.id !== null) this.#index.byId.set(values.id, seq);
    }
    Object.assign(there, values);
    there.change ??= "replace";
    return true;
  }

  /** Another save comes. */
  beginSave(): void {
    if (this.#isStale) this.#index = null;
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
    return this.slots.size === 0 ? undefined : this.#indexed().byId.get(id);
  }

  /** Ticks that a record with these values may be, the most alike first; nobody may change them. */
  seqsLike(values: TickValues): (readonly number[])[] {
    if (this.slots.size === 0) return [];
    const { alike } = this.#indexed();
    const lists: number[][] = [];
    for (const name of listsFor(values)) {
      const list = alike.get(name);
      if (list !== undefined) lists.push(list);
    }
    return lists;
  }

  #set(seq: number, slot: TickSlot): void {
    this.slots.set(seq, slot);
    if (seq > this.#last) this.#last = seq;
    if (this.#index !== null) addTo(this.#index, seq, slot);
  }

  #indexed(): Index {
    if (this.#index !== null) return this.#index;
    this.#index = { byId: new Map(), alike: new Map() };
    const inOrder = [...this.slots].sort(([a], [b]) => a - b);
    for (const [seq, slot] of inOrder) addTo(this.#index, seq, slot);
    return this.#index;
  }
}

function addTo({ byId, alike }: Index, seq: number, slot: TickSlot): void {
  if (slot.id !== null) byId.set(slot.id, seq);
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

/** One with an id is no tick of another id. One without may be any, those without id first. */
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
    keyOf(stored) === keyOf(sent) &&
    (stored.id === null || sent.id === null || stored.id === sent.id) &&
    (stored.extra === null || sent.extra === null || stored.extra === sent.extra)
  );
}

export function isSame(a: TickValues, b: TickValues): boolean {
  return keyOf(a) === keyOf(b) && a.id === b.id && a.extra === b.extra;
}

/** One text for equal prices and sizes. */
export function keyOf({ price, size, askPrice, askSize }: TickValues): string {
  return `${price}|${comparableCount(size)}|${askPrice}|${comparableCount(askSize)}`;
}
