/** Which day it is at a market: "today" of every command that asks for it. */

/** A calendar day of a market. */
export interface MarketDay {
  /** `YYYY-MM-DD`, as daily bars are dated. */
  date: string;
  /** The first and the last microsecond of the day, as ticks are stamped: in UTC. */
  from: string;
  to: string;
  /** IANA name of the market's time zone. */
  zone: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** No zone is further from UTC. */
const OFFSET_MAX_MS = 15 * 3_600_000;
/** There are some 600 zones, and clients may write their names in any case. */
const CLOCKS_MAX = 1_000;

export class MarketClock {
  readonly #zone: string;
  readonly #format: Intl.DateTimeFormat;
  #minute = Number.NaN;
  #day: MarketDay | null = null;

  /** @throws RangeError there is no such time zone. */
  constructor(zone: string) {
    this.#zone = zone;
    this.#format = new Intl.DateTimeFormat("en-CA", {
      timeZone: zone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
    });
  }

  /** The day of a moment. @param epochMs Unix time in ms. */
  dayAt(epochMs: number): MarketDay {
    const minute = Math.floor(epochMs / MINUTE_MS);
    if (this.#day !== null && minute === this.#minute) return this.#day;
    const date = this.#format.format(epochMs);
    if (this.#day?.date !== date) {
      const from = this.#beginOf(date);
      const to = this.#beginOf(new Date(Date.parse(date) + DAY_MS).toISOString().slice(0, 10)) - 1;
      this.#day = { date, from: `${utcText(from)}000`, to: `${utcText(to)}999`, zone: this.#zone };
    }
    this.#minute = minute;
    return this.#day;
  }

  /** A day begins with the first moment of its date, which need not be midnight. */
  #beginOf(date: string): number {
    let before = Date.parse(date) - OFFSET_MAX_MS;
    let within = Date.parse(date) + OFFSET_MAX_MS;
    while (within - before > 1) {
      const middle = Math.floor((before + within) / 2);
      if (this.#format.format(middle) < date) before = middle;
      else within = middle;
    }
    return within;
  }
}

const clocks = new Map<string, MarketClock>();

/** @returns null: there is no such time zone. */
export function marketClock(zone: string): MarketClock | null {
  let clock = clocks.get(zone);
  if (clock !== undefined) return clock;
  try {
    clock = new MarketClock(zone);
  } catch {
    return null;
  }
  if (clocks.size >= CLOCKS_MAX) clocks.clear();
  clocks.set(zone, clock);
  return clock;
}

/** `YYYY-MM-DD HH:MM:SS.mmm` */
function utcText(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 23).replace("T", " ");
}
