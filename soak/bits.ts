/** A set of small whole numbers, one bit for each up to the largest. */
export class Bits {
  #words = new Uint32Array(256);

  /** @returns whether it was in the set already. */
  add(number: number): boolean {
    const word = number >>> 5;
    if (word >= this.#words.length) this.#grow(word);
    const bit = 1 << (number & 31);
    const wasThere = (this.#words[word]! & bit) !== 0;
    this.#words[word]! |= bit;
    return wasThere;
  }

  has(number: number): boolean {
    return ((this.#words[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0;
  }

  #grow(word: number): void {
    const larger = new Uint32Array(Math.max(word + 1, this.#words.length * 2));
    larger.set(this.#words);
    this.#words = larger;
  }
}
