/** Moments as Alpaca's clients read them: RFC 3339 with a zone, or a timestamp of MessagePack. */
import type { Zone } from "../market/zone.ts";

const DAY_LENGTH = "2024-01-02".length;
const SECOND_LENGTH = "2024-01-02 10:00:00".length;
const MICROS_LENGTH = "2024-01-02 10:00:00.123456".length;
const FRACTION_ZEROS = /\.?0+$/;

export class AlpacaTime {
  readonly #stamp: string;

  /** @param stamp `YYYY-MM-DD HH:MM:SS` in UTC, with or without six digits of a fraction. */
  constructor(stamp: string) {
    this.#stamp = stamp;
  }

  /**
   * Alpaca dates a daily bar by the midnight at which its day begins at the exchange.
   *
   * @param date `YYYY-MM-DD`. @param zone of the exchange.
   */
  static ofDay(date: string, zone: Zone): AlpacaTime {
    const wallMs = Date.parse(date);
    const [startMs = wallMs - zone.offsetAt(wallMs)] = zone.instantsOf(wallMs);
    return new AlpacaTime(new Date(startMs).toISOString().slice(0, SECOND_LENGTH));
  }

  /** Since 1970. */
  get seconds(): number {
    return Date.parse(`${this.#stamp.slice(0, DAY_LENGTH)}T${this.#clock}Z`) / 1_000;
  }

  /** Within the second. */
  get nanoseconds(): number {
    return Number(this.#stamp.slice(SECOND_LENGTH + 1, MICROS_LENGTH)) * 1_000;
  }

  toJSON(): string {
    const fraction = this.#stamp.slice(SECOND_LENGTH, MICROS_LENGTH).replace(FRACTION_ZEROS, "");
    return `${this.#stamp.slice(0, DAY_LENGTH)}T${this.#clock}${fraction}Z`;
  }

  get #clock(): string {
    return this.#stamp.slice(DAY_LENGTH + 1, SECOND_LENGTH);
  }
}
