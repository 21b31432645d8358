/**
 * Which of the servers that share a database makes its roll-ups. Whoever does counts on in a note;
 * one that stands still for a while is taken over. No clocks are compared, and nothing wrong is
 * written if two believe to be it: each write is refused that rests on another's.
 */
import { type RollupDatabase, saveNote } from "./rollup-database.ts";

const HOLDER_NOTE = "rollups/holder";
/** By the own clock: the other has missed several turns. */
const LOST_AFTER_MS = 5_000;

export class Holder {
  readonly #db: RollupDatabase;
  readonly #id: string;
  #seen: string | null = null;
  #seenAtMs = 0;
  #count = 0;
  #isOwn = false;

  /** @param id of this process alone. */
  constructor(db: RollupDatabase, id: string) {
    this.#db = db;
    this.#id = id;
  }

  /** To be called each second. @returns whether the roll-ups are made here. */
  async look(): Promise<boolean> {
    const [note] = await this.#db.reader.notes(HOLDER_NOTE, HOLDER_NOTE, 1);
    const text = note?.[1] ?? null;
    if (text !== this.#seen) this.#seenAtMs = performance.now();
    this.#seen = text;
    const isFree = text === null || text === "" || text.startsWith(`${this.#id} `);
    const isLost = performance.now() - this.#seenAtMs >= LOST_AFTER_MS;
    this.#isOwn = (isFree || isLost) && (await this.#put(`${this.#id} ${++this.#count}`));
    return this.#isOwn;
  }

  /** Another may go on at once. */
  async free(): Promise<void> {
    if (this.#isOwn) await this.#put("");
    this.#isOwn = false;
  }

  async #put(to: string): Promise<boolean> {
    const note = { name: HOLDER_NOTE, from: this.#seen, to };
    const outcome = await saveNote(this.#db, HOLDER_NOTE, note);
    if (outcome.ok) this.#seen = to;
    return outcome.ok;
  }
}
