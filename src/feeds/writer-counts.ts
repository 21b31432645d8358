/** Who has saved since a worker last told the hub: each key, at each address. */
import { type FeedName, WRITERS_MAX, type WriterCount } from "./feed.ts";

/**
 * Bun takes 1.5 µs to tell an address. After so many looks, a worker looks at each eighth save, on
 * average: what came since it last looked at the key then counts for the address that it sees.
 */
const LOOKS_MAX = 2_000;
const SAVES_PER_LOOK = 8;

/** Who saves. */
export interface SaveSender {
  /** The name of its key; "-" where none is needed. */
  readonly who: string;
  /** Of the client, also behind proxies. */
  readonly address: string;
}

export interface CountedSave {
  rows: number;
  stamp: string | null;
  feed: FeedName;
  nowMs: number;
}

/** All addresses of a key. */
interface OfKey {
  byAddress: Map<string, WriterCount>;
  /** Of saves whose address wasn't looked at. */
  rows: number;
  saves: number;
}

export class WriterCounts {
  #byKey = new Map<string, OfKey>();
  #size = 0;
  #looks = 0;
  #savesToLook = 0;

  note(sender: SaveSender, save: CountedSave): void {
    const ofKey = this.#ofKey(sender.who);
    if (ofKey === null) return;
    ofKey.rows += save.rows;
    ofKey.saves++;
    // At random, as writers may take turns.
    if (this.#looks >= LOOKS_MAX && --this.#savesToLook > 0) return;
    this.#looks++;
    this.#savesToLook = 1 + Math.floor(Math.random() * (2 * SAVES_PER_LOOK - 1));
    this.#count(ofKey, sender, save);
  }

  /** What was counted, which begins anew. */
  take(): WriterCount[] {
    const all = [...this.#byKey.values()].flatMap(({ byAddress }) => [...byAddress.values()]);
    const unseen = [...this.#byKey].filter(([, { saves }]) => saves > 0);
    this.#byKey = new Map(unseen.map(([who, ofKey]) => [who, { ...ofKey, byAddress: new Map() }]));
    this.#size = 0;
    this.#looks = 0;
    return all;
  }

  #ofKey(who: string): OfKey | null {
    let ofKey = this.#byKey.get(who);
    if (ofKey === undefined) {
      if (this.#byKey.size >= WRITERS_MAX) return null;
      ofKey = { byAddress: new Map(), rows: 0, saves: 0 };
      this.#byKey.set(who, ofKey);
    }
    return ofKey;
  }

  #count(ofKey: OfKey, { who, address }: SaveSender, { stamp, feed, nowMs }: CountedSave): void {
    let count = ofKey.byAddress.get(address);
    if (count === undefined) {
      if (this.#size >= WRITERS_MAX) return;
      this.#size++;
      count = { who, address, rows: 0, saves: 0, heardMs: nowMs, last: feed, stamp };
      ofKey.byAddress.set(address, count);
    }
    count.rows += ofKey.rows;
    count.saves += ofKey.saves;
    ofKey.rows = 0;
    ofKey.saves = 0;
    count.heardMs = nowMs;
    count.last = feed;
    if (stamp !== null) count.stamp = stamp;
  }
}
