/** Columns of 64-bit integers read by their halves, and those that are stamps as text. */

const TWO_32 = 2 ** 32;
/** The high halves of the integers that a double holds. */
const HIGH_END = 2 ** 21;
const MICROS = 1_000_000;
const DAY_S = 86_400;
const DAY_LENGTH = "2024-01-02".length;
const TWO = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, "0"));
const THREE = Array.from({ length: 1_000 }, (_, n) => String(n).padStart(3, "0"));

/** The machines that Bun runs on put the low half first. */
export class Int64Reader {
  readonly #values: BigInt64Array;
  readonly #halves: Int32Array;

  constructor(values: BigInt64Array) {
    this.#values = values;
    this.#halves = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  }

  /** A number where a double holds it. */
  at(row: number): number | bigint {
    const high = this.#halves[2 * row + 1]!;
    if (high < -HIGH_END || high >= HIGH_END) return this.#values[row]!;
    return high * TWO_32 + (this.#halves[2 * row]! >>> 0);
  }
}

/** What is around the day and the time. */
interface StampAffixes {
  before: string;
  between: string;
  after: string;
  /** Of a zone: seconds east of UTC, at seconds since 1970. Absent: 0. */
  offsetAt?: ((second: number) => number) | undefined;
}

const NO_AFFIXES: StampAffixes = { before: "", between: " ", after: "" };

/** Rows next to each other mostly share a second, and nearly always a day. */
export class StampTexts {
  readonly #micros: Int64Reader;
  readonly #inMicros: boolean;
  readonly #affixes: StampAffixes;
  #second = Number.NaN;
  #secondText = "";
  #day = Number.NaN;
  #dayText = "";
  #after: string;

  /** @param inMicros `YYYY-MM-DD HH:MM:SS.ffffff`, else without the fraction. */
  constructor(micros: BigInt64Array, inMicros: boolean, affixes: StampAffixes = NO_AFFIXES) {
    this.#micros = new Int64Reader(micros);
    this.#inMicros = inMicros;
    this.#affixes = affixes;
    this.#after = affixes.after;
  }

  at(row: number): string {
    const micros = this.#micros.at(row);
    let second: number;
    let fraction: number;
    if (typeof micros === "number") {
      second = Math.floor(micros / MICROS);
      fraction = micros - second * MICROS;
    } else {
      fraction = Number(((micros % BigInt(MICROS)) + BigInt(MICROS)) % BigInt(MICROS));
      second = Number((micros - BigInt(fraction)) / BigInt(MICROS));
    }
    if (second !== this.#second) this.#turnTo(second);
    if (!this.#inMicros) return this.#secondText + this.#after;
    const millis = Math.floor(fraction / 1_000);
    return `${this.#secondText}.${THREE[millis]}${THREE[fraction % 1_000]}${this.#after}`;
  }

  #turnTo(moment: number): void {
    const { before, between, after, offsetAt } = this.#affixes;
    const offset = offsetAt?.(moment) ?? 0;
    const second = moment + offset;
    const day = Math.floor(second / DAY_S);
    if (day !== this.#day) {
      this.#day = day;
      this.#dayText = dayText(day);
    }
    this.#second = moment;
    this.#after = offsetAt === undefined ? after : offsetText(offset) + after;
    const inDay = second - day * DAY_S;
    const minutes = Math.floor(inDay / 60);
    const time = [Math.floor(minutes / 60), minutes % 60, inDay % 60];
    this.#secondText = `${before}${this.#dayText}${between}${time.map((part) => TWO[part]).join(":")}`;
  }
}

/** `-05:00`; with seconds where a zone of long ago had them. @param seconds east of UTC. */
function offsetText(seconds: number): string {
  const distance = Math.abs(seconds);
  const parts = [Math.floor(distance / 3_600), Math.floor(distance / 60) % 60, distance % 60];
  const shown = parts[2] === 0 ? parts.slice(0, 2) : parts;
  return `${seconds < 0 ? "-" : "+"}${shown.map((part) => TWO[part]).join(":")}`;
}

/** @param days since 1970. */
export function dayText(days: number): string {
  return new Date(days * DAY_S * 1_000).toISOString().slice(0, DAY_LENGTH);
}
