/** Reads the stamps of one column by rules that hold for all of it. */
import { type DateOrder, needsOrder, ORDER_WORDS, withIsoDate } from "./date-order.ts";
import { type EpochUnit, isEpochText, microsOfEpoch, otherUnit, UNIT_WORDS } from "./epoch-unit.ts";
import { microsOfStamp, stampOfMicros } from "./stamp-micros.ts";
import { parseCalendarDate, parseTimestamp, type StampType, TimestampError, toHourly } from "./timestamp.ts";
import { type Zone, zoneOf } from "./zone.ts";

export interface StampRules {
  kind: StampType;
  /**
   * For dates in digits that don't say it themselves; null: the month first where both are
   * possible.
   */
  order?: DateOrder | null;
  /** Numbers are epochs of this unit; null: as `parseTimestamp` reads them. */
  unit?: EpochUnit | null;
  /** The user says the unit, so that no number is doubted. */
  isUnitCertain?: boolean;
  /** Of stamps without a zone. Daily bars get the date that it was there. */
  zone?: Zone | null;
  /**
   * Whether the stamps of the column say their zone, where `zone` names none for those that don't;
   * absent: some may, and UTC is that of the others.
   */
  saysZone?: boolean | null | undefined;
}

const DAY_LENGTH = 10;
const MIDNIGHT = " 00:00:00.000000";
const ASK_FOR_ZONE = "--tz says in which zone its day begins";
const NOON = 12;
/** Names of zones, at the end of a stamp; the loose forms have abbreviations and offsets. */
const NAMED_ZONE =
  /^(.*\d(?: ?[ap]\.?m\.?)?)\s+\[?([A-Za-z_]+(?:\/[A-Za-z0-9_+-]+)+|Japan|Hongkong|Singapore)\]?$/i;
/** A text that says its offset from UTC. */
const OWN_ZONE = /(?:Z|[+-]\d\d(?::?\d\d)?|\b(?:UTC|GMT|[ECMP][SD]T))\s*$/i;
const HAS_TIME = /[:T]|\d \d{4,6}|[ap]\.?m/i;
const OFFSET_AFTER_UTC = / (?:GMT|UTC)(?=[+-]\d)/;
/** A date and an hour, or a time with a fraction, without anything between them. */
const COMPACT = /^((?:19|20)\d{2})(\d{2})(\d{2})(\d{2})(?:(\d{2})(\d{2})\.?(\d{1,9}))?$/;
/** Tickers whose last wall clock is remembered, for the hour that clocks show twice. */
const TICKERS_MAX = 100_000;
/** A clock that goes back further was put back. */
const DISORDER_MS = 1_800_000;

export class StampReader {
  readonly #rules: StampRules;
  readonly #plain: boolean;
  /** Where each ticker is, and whether its rows rise. */
  readonly #last = new Map<string, { utcMs: number; rising: boolean }>();

  constructor(rules: StampRules) {
    this.#rules = rules;
    this.#plain =
      (rules.order ?? null) === null && (rules.unit ?? null) === null && (rules.zone ?? null) === null;
  }

  /**
   * @param ticker Whose rows are in order: tells the first from the second of a repeated hour.
   * @returns the stored form; null for "no date". @throws TimestampError
   */
  read(text: string, ticker: string): string | null {
    const stamp = this.#read(text, ticker);
    if (stamp !== null) this.#checkZone(text);
    return stamp;
  }

  #read(text: string, ticker: string): string | null {
    if (this.#plain && !text.includes("/")) return this.#parse(withSigns(text));
    const { unit, order } = this.#rules;
    if (unit !== null && unit !== undefined && isEpochText(text)) return this.#readEpoch(text, unit);
    let plain = withSigns(text.replace(OFFSET_AFTER_UTC, " "));
    if (needsOrder(text) && order !== null && order !== undefined) {
      plain = withIsoDate(plain, order);
      if (parseIsoDate(plain.slice(0, DAY_LENGTH)) === null)
        throw new TimestampError(
          `cannot read ${JSON.stringify(text.slice(0, 60))} as a date ${ORDER_WORDS[order]}, as the others of the column are`,
        );
    }
    const named = NAMED_ZONE.exec(plain);
    const ownZone = named === null ? null : zoneOf(named[2]!);
    if (named !== null && ownZone !== null) return this.#readWall(named[1]!, ownZone, ticker);
    const { zone } = this.#rules;
    if (zone === null || zone === undefined) return this.#parse(plain);
    if (OWN_ZONE.test(plain.slice(DAY_LENGTH)) && HAS_TIME.test(plain)) return this.#readInstant(plain, zone);
    if (!HAS_TIME.test(plain) && this.#rules.kind === "date") return this.#parse(plain);
    return this.#readWall(plain, zone, ticker);
  }

  #checkZone(text: string): void {
    const { saysZone } = this.#rules;
    if (typeof saysZone !== "boolean" || textSaysZone(text) === saysZone) return;
    throw new TimestampError(
      `${JSON.stringify(text.slice(0, 60))} says ${saysZone ? "no" : "its"} zone, and those before it ${saysZone ? "do" : "don't"}: --tz names the zone of those that say none`,
    );
  }

  #parse(text: string): string | null {
    if (this.#rules.kind === "date") {
      if (text.length > DAY_LENGTH && isLateInUtc(text))
        throw new TimestampError(`${text} is another day east of UTC: ${ASK_FOR_ZONE}`);
      return parseCalendarDate(text);
    }
    const stamp = parseTimestamp(text);
    return stamp === null || this.#rules.kind === "instant" ? stamp : toHourly(stamp);
  }

  #readEpoch(text: string, unit: EpochUnit): string {
    const other = this.#rules.isUnitCertain === true ? null : otherUnit(Number(text), unit);
    if (other !== null) {
      throw new TimestampError(
        `${text} looks like ${UNIT_WORDS[other]} in a column of ${UNIT_WORDS[unit]}: --epoch ${unit} says that it is not`,
      );
    }
    const micros = microsOfEpoch(text, unit);
    const stamp = micros === null || Math.abs(micros) > 9.2e15 ? null : stampOfMicros(micros);
    if (stamp === null)
      throw new TimestampError(`${text} is no time in ${UNIT_WORDS[unit]} that can be stored`);
    return this.#ofInstant(stamp, this.#rules.zone ?? null);
  }

  /**
   * A stamp that says its zone. A daily bar is of the date that it was in the zone that is asked
   * for.
   */
  #readInstant(text: string, zone: Zone): string | null {
    const stamp = parseTimestamp(text);
    return stamp === null ? null : this.#ofInstant(stamp, zone);
  }

  #ofInstant(stamp: string, zone: Zone | null): string {
    const { kind } = this.#rules;
    if (kind === "instant") return stamp;
    if (kind === "second") return toHourly(stamp);
    if (zone === null) {
      if (stamp.endsWith(MIDNIGHT)) return stamp.slice(0, DAY_LENGTH);
      throw new TimestampError(`${stamp} UTC is no midnight there: ${ASK_FOR_ZONE}`);
    }
    const micros = microsOfStamp(stamp);
    return stampOfMicros(micros + zone.offsetAt(Math.floor(micros / 1e3)) * 1e3).slice(0, DAY_LENGTH);
  }

  /** A wall clock in a zone. */
  #readWall(text: string, zone: Zone, ticker: string): string | null {
    if (this.#rules.kind === "date") return parseCalendarDate(text);
    const wall = parseTimestamp(text);
    if (wall === null) return null;
    const micros = microsOfStamp(wall);
    const wallMs = Math.floor(micros / 1e3);
    const instants = zone.instantsOf(wallMs);
    if (instants.length === 0)
      throw new TimestampError(`${text} was left out in ${zone.name}, where clocks were put forward`);
    const utcMs = instants.length === 1 ? instants[0]! : this.#pick(instants, ticker);
    this.#remember(ticker, utcMs);
    const stamp = stampOfMicros(micros + (utcMs - wallMs) * 1e3);
    return this.#rules.kind === "instant" ? stamp : toHourly(stamp);
  }

  /** Which of the two hours it is: rows go on in the direction in which they came. */
  #pick(instants: number[], ticker: string): number {
    const [first, second] = [instants[0]!, instants[1]!];
    const last = this.#last.get(ticker);
    if (last === undefined || last.utcMs < first - DISORDER_MS) return first;
    if (last.utcMs > second + DISORDER_MS) return second;
    // Ticks may share a stamp and be a little out of order; bars are neither.
    const slack = this.#rules.kind === "instant" ? DISORDER_MS : -1;
    if (last.rising) return first >= last.utcMs - slack ? first : second;
    return second <= last.utcMs + slack ? second : first;
  }

  #remember(ticker: string, utcMs: number): void {
    const last = this.#last.get(ticker);
    if (last === undefined) {
      if (this.#last.size < TICKERS_MAX) this.#last.set(ticker, { utcMs, rising: true });
      return;
    }
    if (utcMs !== last.utcMs) last.rising = utcMs > last.utcMs;
    last.utcMs = utcMs;
  }
}

/** @returns a compact stamp in ISO form, other text as it is. */
function withSigns(text: string): string {
  const match = COMPACT.exec(text);
  if (match === null) return text;
  const [, year, month, day, hour, minute = "00", second = "00", fraction = "0"] = match;
  return `${year}-${month}-${day} ${hour}:${minute}:${second}.${fraction}`;
}

/** After noon in UTC it is the next day in Asia, so the date as written may not be the bar's. */
export function isLateInUtc(text: string): boolean {
  const marked = text.endsWith("Z") || text.endsWith("+00:00") || text.endsWith("+0000");
  return marked && Number(text.slice(DAY_LENGTH + 1, DAY_LENGTH + 3)) >= NOON;
}

const DIGIT_9 = 57;
const SAYS_ZONE = /(?:Z|[+-]\d\d(?::?\d\d)?|[A-Za-z]{3,})$/;

/** Whether a stamp with a time ends with a zone or an offset. */
export function textSaysZone(text: string): boolean {
  if (text.endsWith("Z")) return true;
  // Most have neither: that is quicker to see than what they end with.
  const isDigit = text.charCodeAt(text.length - 1) <= DIGIT_9;
  if (isDigit && text.indexOf("+", DAY_LENGTH) < 0 && text.indexOf("-", DAY_LENGTH) < 0) return false;
  return text.length > DAY_LENGTH && SAYS_ZONE.test(text.slice(DAY_LENGTH));
}

function parseIsoDate(text: string): string | null {
  try {
    return parseCalendarDate(text);
  } catch (error) {
    if (error instanceof TimestampError) return null;
    throw error;
  }
}
