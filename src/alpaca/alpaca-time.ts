/** Moments as Alpaca's clients read them: RFC 3339 with a zone, or a timestamp of MessagePack. */
import type { Zone } from "../market/zone.ts";

const DAY_LENGTH = "2024-01-02".length;
const MINUTE_LENGTH = "2024-01-02 10:00".length;
const SECOND_LENGTH = "2024-01-02 10:00:00".length;
const MICROS_LENGTH = "2024-01-02 10:00:00.123456".length;
const ZERO = 48;

/** Rows of one save are mostly of one minute. */
let minute = "";
let secondsOfMinute = 0;

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
    const stamp = this.#stamp;
    const ofMinute = stamp.slice(0, MINUTE_LENGTH);
    if (ofMinute !== minute) {
      minute = ofMinute;
      const text = `${ofMinute.slice(0, DAY_LENGTH)}T${ofMinute.slice(DAY_LENGTH + 1)}Z`;
      secondsOfMinute = Date.parse(text) / 1_000;
    }
    const tens = stamp.charCodeAt(MINUTE_LENGTH + 1) - ZERO;
    return secondsOfMinute + tens * 10 + stamp.charCodeAt(MINUTE_LENGTH + 2) - ZERO;
  }

  /** Within the second. */
  get nanoseconds(): number {
    if (this.#stamp.length <= SECOND_LENGTH) return 0;
    return Number(this.#stamp.slice(SECOND_LENGTH + 1, MICROS_LENGTH)) * 1_000;
  }

  toJSON(): string {
    const stamp = this.#stamp;
    let end = Math.min(stamp.length, MICROS_LENGTH);
    if (end > SECOND_LENGTH) {
      while (stamp.charCodeAt(end - 1) === ZERO) end--;
      if (end === SECOND_LENGTH + 1) end = SECOND_LENGTH;
    }
    return `${stamp.slice(0, DAY_LENGTH)}T${stamp.slice(DAY_LENGTH + 1, end)}Z`;
  }
}
