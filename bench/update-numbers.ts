/**
 * Finds the number of an update in the bytes of its frame, without parsing more than a few of them.
 */

/**
 * Numbers have seven digits from the first to the last, so that updates are of one length but for
 * their positions.
 */
export const FIRST_NUMBER = 1_000_000;
const NUMBER_DIGITS = 7;

export class UpdateNumbers {
  /** Of the last update that was looked at closely. */
  frameBytes = 0;
  /** Where the number stands in an update of so many bytes. */
  #numberAt = 0;

  /**
   * @returns the update's number counted from 0, or -1 for another frame (heartbeat, first price).
   */
  numberOf(bytes: Buffer, start: number, end: number): number {
    if (end - start !== this.frameBytes) return this.#learn(bytes, start, end);
    let number = 0;
    const from = start + this.#numberAt;
    for (let at = from; at < from + NUMBER_DIGITS; at++) {
      const digit = bytes[at]! - 48;
      if (digit < 0 || digit > 9) return this.#learn(bytes, start, end);
      number = number * 10 + digit;
    }
    return number - FIRST_NUMBER;
  }

  #learn(bytes: Buffer, start: number, end: number): number {
    const text = bytes.toString("latin1", start, end);
    const size = text.includes('"payload"') ? /"size": ?(\d{7})\b/.exec(text) : null;
    if (size === null) return -1;
    this.frameBytes = end - start;
    this.#numberAt = size.index + size[0].length - NUMBER_DIGITS;
    return Number(size[1]) - FIRST_NUMBER;
  }
}
