import type { AskedDates, Session, Sessions } from "./sessions.ts";

const DAY_MS = 86_400_000;
/** A power of two. */
const KEPT_DATES = 4;
/** Dates end here. */
const MICROS_MAX = 8.64e18;
const MARGIN_MICROS = 10 * DAY_MS * 1_000;

/** The part of a session in which a stamp lies, or the gap between two parts. */
export class SessionCursor {
  /** The part last found. */
  partFrom = Number.POSITIVE_INFINITY;
  partUntil = Number.NEGATIVE_INFINITY;
  /** Its session's date, in days since 1970. */
  date = Number.NaN;
  /** No stamp from here on and before `gapUntil` is in a session. */
  gapFrom = Number.POSITIVE_INFINITY;
  gapUntil = Number.NEGATIVE_INFINITY;
  /** When the session opens. */
  open = Number.NaN;
  readonly #sessions: Sessions;
  readonly #asked: AskedDates;
  /** The sessions of the last dates that were looked at: each is looked at three times and more. */
  readonly #dates = new Float64Array(KEPT_DATES).fill(Number.NaN);
  readonly #kept: (Session | null)[] = [];

  constructor(sessions: Sessions, asked: AskedDates) {
    this.#sessions = sessions;
    this.#asked = asked;
  }

  /** @returns false: it is in none; then `gapUntil` tells when to look again. */
  seek(micros: number): boolean {
    if (micros >= this.partFrom && micros < this.partUntil) return true;
    if (micros >= this.gapFrom && micros < this.gapUntil) return false;
    if (!(Math.abs(micros) < MICROS_MAX - MARGIN_MICROS)) return this.#beyond(micros);
    const zone = this.#sessions.hoursZone;
    const ms = Math.floor(micros / 1_000);
    const today = Math.floor((ms + zone.offsetAt(ms)) / DAY_MS);
    // A session of tomorrow that hasn't opened when tomorrow begins is looked for then.
    let next = zone.startOf((today + 1) * DAY_MS) * 1_000;
    if (next <= micros) next = zone.startOf((today + 2) * DAY_MS) * 1_000;
    for (let date = today - 1; date <= today + 1; date++) {
      const session = this.#on(date);
      if (session === null) continue;
      if (this.#take(session, micros)) return true;
      const begin = session.parts.find((at, index) => index % 2 === 0 && at > micros);
      if (begin !== undefined && begin < next) next = begin;
    }
    this.#note(today);
    this.gapFrom = micros;
    this.gapUntil = next;
    return false;
  }

  /** Neither an infinite bound nor what is no number may lead into an endless search. */
  #beyond(micros: number): boolean {
    this.gapFrom = micros;
    this.gapUntil = micros < 0 ? -MICROS_MAX + 2 * MARGIN_MICROS : Number.POSITIVE_INFINITY;
    return false;
  }

  /** When the part before the one last found ends. */
  endBefore(): number {
    const { parts } = this.#on(this.date)!;
    const index = parts.indexOf(this.partFrom);
    if (index > 0) return parts[index - 1]!;
    // Sessions last a day at most, and so does a bucket.
    for (let date = this.date - 1; date >= this.date - 2; date--) {
      const before = this.#on(date);
      if (before !== null) return before.parts.at(-1)!;
    }
    return Number.NEGATIVE_INFINITY;
  }

  #on(date: number): Session | null {
    const slot = date & (KEPT_DATES - 1);
    if (this.#dates[slot] !== date) {
      this.#dates[slot] = date;
      this.#kept[slot] = this.#sessions.on(date);
    }
    return this.#kept[slot]!;
  }

  #take(session: Session, micros: number): boolean {
    const { parts, date } = session;
    for (let index = 0; index < parts.length; index += 2) {
      if (micros < parts[index]! || micros >= parts[index + 1]!) continue;
      this.partFrom = parts[index]!;
      this.partUntil = parts[index + 1]!;
      this.open = parts[0]!;
      this.date = date;
      this.#note(date);
      return true;
    }
    return false;
  }

  #note(date: number): void {
    if (date < this.#asked.first) this.#asked.first = date;
    if (date > this.#asked.last) this.#asked.last = date;
  }
}
