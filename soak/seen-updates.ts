/**
 * The updates of one ticker as the first subscriber saw them, against which every other is
 * compared: a position means the same save to everybody. Four bytes an update.
 */
import { KINDS, type Kind } from "./numbered-saves.ts";

/** Of an update: first number of its save, and its kind. Never 0. */
export type Identity = number;

export function identityOf(kind: Kind, first: number): Identity {
  return first * KINDS.length + KINDS.indexOf(kind);
}

export function kindOf(identity: Identity): Kind {
  return KINDS[identity % KINDS.length]!;
}

export class SeenUpdates {
  #identities = new Uint32Array(1024);

  /** @returns what the position stands for: what is given here if nobody has seen it before. */
  note(seq: number, identity: Identity): Identity {
    if (seq >= this.#identities.length) this.#grow(seq);
    const known = this.#identities[seq]!;
    if (known !== 0) return known;
    this.#identities[seq] = identity;
    return identity;
  }

  #grow(seq: number): void {
    const larger = new Uint32Array(Math.max(seq + 1, this.#identities.length * 2));
    larger.set(this.#identities);
    this.#identities = larger;
  }
}
