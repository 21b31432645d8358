/** Text that is written as bytes: as a string for each cell it takes twice as long. */

const FIRST_BYTES = 64 * 1024;
const ZERO = 48;
const MINUS = 45;
const DOT = 46;
const COLON = 58;
const TIME_LENGTH = "HH:MM:SS".length;
const FRACTION_LENGTH = ".ffffff".length;
/** Prices mostly have so many decimals, or fewer. */
const DECIMALS = 4;
const SCALE = 10 ** DECIMALS;
/** Below it, a number has one decimal text of 15 digits, whatever computes it. */
const SCALED_END = 1e15;
const INT32_MAX = 2 ** 31 - 1;
const INT32_DIGITS = 10;
const encoder = new TextEncoder();

export class TextBytes {
  #bytes = new Uint8Array(FIRST_BYTES);
  #at = 0;

  /** What was written since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.subarray(0, this.#at);
    // Its reader keeps it. What follows mostly has the same length.
    this.#bytes = new Uint8Array(Math.max(FIRST_BYTES, this.#at + this.#at / 16));
    this.#at = 0;
    return taken;
  }

  /** @param bytes of UTF-8. */
  put(bytes: Uint8Array): void {
    const { length } = bytes;
    this.#reserve(length);
    const to = this.#bytes;
    let at = this.#at;
    for (let from = 0; from < length; from++) to[at++] = bytes[from]!;
    this.#at = at;
  }

  text(text: string): void {
    const { length } = text;
    this.#reserve(3 * length);
    const to = this.#bytes;
    const begin = this.#at;
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code > 127) {
        this.#at = begin + encoder.encodeInto(text, to.subarray(begin)).written;
        return;
      }
      to[begin + index] = code;
    }
    this.#at = begin + length;
  }

  /** As `String` has it. @param value finite. */
  number(value: number): void {
    if (value === (value | 0) && value >= 0 && !Object.is(value, -0)) {
      this.#reserve(INT32_DIGITS);
      this.#digits(value);
      return;
    }
    const scaled = Math.round(Math.abs(value) * SCALE);
    // The quotient is rounded as the text of the digits would be read, so it is the same number.
    if (!(scaled < SCALED_END) || scaled / SCALE !== Math.abs(value)) {
      this.text(String(value));
      return;
    }
    this.#reserve(24);
    if (value < 0) this.#bytes[this.#at++] = MINUS;
    const whole = Math.floor(scaled / SCALE);
    this.#digits(whole);
    let decimals = scaled - whole * SCALE;
    if (decimals === 0) return;
    let count = DECIMALS;
    while (decimals % 10 === 0) {
      decimals /= 10;
      count--;
    }
    this.#bytes[this.#at++] = DOT;
    this.#padded(decimals, count);
  }

  /** `HH:MM:SS`. @param second of a day. */
  time(second: number): void {
    this.#reserve(TIME_LENGTH);
    const minutes = (second / 60) | 0;
    const hour = (minutes / 60) | 0;
    this.#padded32(hour, 2);
    this.#bytes[this.#at++] = COLON;
    this.#padded32(minutes - hour * 60, 2);
    this.#bytes[this.#at++] = COLON;
    this.#padded32(second - minutes * 60, 2);
  }

  /** `.ffffff`. @param micros of a second. */
  fraction(micros: number): void {
    this.#reserve(FRACTION_LENGTH);
    this.#bytes[this.#at++] = DOT;
    this.#padded32(micros, 6);
  }

  #digits(value: number): void {
    let count = 1;
    for (let bound = 10; value >= bound; bound *= 10) count++;
    this.#padded(value, count);
  }

  #padded(value: number, digits: number): void {
    if (value <= INT32_MAX) this.#padded32(value | 0, digits);
    else this.#paddedWide(value, digits);
  }

  /** Integers of 32 bits take a third of the time. */
  #padded32(value: number, digits: number): void {
    const to = this.#bytes;
    const end = this.#at + digits;
    let left = value | 0;
    for (let at = end - 1; at >= this.#at; at--) {
      const rest = (left / 10) | 0;
      to[at] = ZERO + left - rest * 10;
      left = rest;
    }
    this.#at = end;
  }

  #paddedWide(value: number, digits: number): void {
    const to = this.#bytes;
    let left = value;
    for (let at = this.#at + digits - 1; at >= this.#at; at--) {
      const rest = Math.floor(left / 10);
      to[at] = ZERO + left - rest * 10;
      left = rest;
    }
    this.#at += digits;
  }

  #reserve(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}
