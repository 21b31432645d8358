/** Time zones by their IANA names, such as America/New_York: wall clocks to UTC and back. */

const DAY_MS = 86_400_000;
/** No zone had changed its offset yet. */
const FIRST_MS = Date.UTC(1800, 0, 1);
/** Changes are listed so far at first, and further when they are asked for. */
const LISTED_MS = Date.UTC(2040, 0, 1);
const LISTED_STEP_MS = 40 * 366 * DAY_MS;
/** From here on all is as it was 400 years before, as rules name days of the week and the month. */
const REPEATED_MS = Date.UTC(2540, 0, 1);
const CYCLE_MS = 146_097 * DAY_MS;
/** A name with a slash, or one of the few without. "EST" and its like are offsets, no zones. */
const NAME = /^(?:[A-Za-z_]+(?:\/[A-Za-z0-9_+-]+)+|UTC|GMT|Z|Japan|Hongkong|Singapore|Turkey|Iran|Israel)$/;

const zones = new Map<string, Zone | null>();

/** @returns null for what is no zone. */
export function zoneOf(name: string): Zone | null {
  let zone = zones.get(name);
  if (zone === undefined) {
    zone = NAME.test(name) ? openZone(name === "Z" ? "UTC" : name) : null;
    if (zones.size < 1_000) zones.set(name, zone);
  }
  return zone;
}

function openZone(name: string): Zone | null {
  try {
    return new Zone(name);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** While clocks have one offset from UTC. */
export interface OffsetPeriod {
  /** Unix ms; from -Infinity to Infinity. `until` is exclusive. */
  readonly from: number;
  readonly until: number;
  /** East of UTC, in ms. */
  readonly offset: number;
}

/** A list of the zone's changes, which grows with what is asked for. */
export class Zone {
  readonly name: string;
  /** When each offset begins: the first at -Infinity. */
  #starts = new Float64Array(64);
  #offsets = new Float64Array(64);
  #count = 0;
  /** Up to here the list is whole. */
  #listedMs = FIRST_MS;
  #last: Temporal.ZonedDateTime;
  /** The period of the last look-up. */
  #foundFrom = Number.POSITIVE_INFINITY;
  #foundUntil = Number.NEGATIVE_INFINITY;
  #foundOffset = 0;
  /** Wall clocks that are shown once, with the offset that they are shown in. */
  #plainFrom = Number.POSITIVE_INFINITY;
  #plainUntil = Number.NEGATIVE_INFINITY;
  #plainOffset = 0;

  /** @throws RangeError there is no such zone. */
  constructor(name: string) {
    this.name = name;
    this.#last = Temporal.Instant.fromEpochMilliseconds(FIRST_MS).toZonedDateTimeISO(name);
    this.#add(Number.NEGATIVE_INFINITY, this.#last);
  }

  /** East of UTC, in ms, at a Unix time. */
  offsetAt(utcMs: number): number {
    if (utcMs >= this.#foundFrom && utcMs < this.#foundUntil) return this.#foundOffset;
    const { from, until, offset } = this.periodAt(utcMs);
    this.#foundFrom = from;
    this.#foundUntil = Math.min(until, this.#listedMs);
    this.#foundOffset = offset;
    return offset;
  }

  periodAt(utcMs: number): OffsetPeriod {
    const shift = repeats(utcMs);
    const index = this.#indexOf(utcMs - shift);
    return {
      from: this.#starts[index]! + shift,
      until: this.#endOf(index) + shift,
      offset: this.#offsets[index]!,
    };
  }

  /**
   * @param wallMs The wall clock as if it were UTC.
   * @returns the Unix times at which clocks show it, the earlier one first: two in the hour that is
   *   repeated in autumn, none in the one that spring leaves out.
   */
  instantsOf(wallMs: number): number[] {
    if (wallMs >= this.#plainFrom && wallMs < this.#plainUntil) return [wallMs - this.#plainOffset];
    const shift = repeats(wallMs);
    const wall = wallMs - shift;
    const instants: number[] = [];
    const last = this.#indexOf(wall + DAY_MS);
    for (let index = this.#indexOf(wall - DAY_MS); index <= last; index++) {
      const instant = wall - this.#offsets[index]!;
      if (instant >= this.#starts[index]! && instant < this.#endOf(index)) instants.push(instant + shift);
    }
    if (instants.length === 1 && shift === 0) this.#remember(this.#indexOf(instants[0]!));
    return instants;
  }

  /** The first moment at which clocks show this, or, where they leave it out, of their jump. */
  startOf(wallMs: number): number {
    if (wallMs >= this.#plainFrom && wallMs < this.#plainUntil) return wallMs - this.#plainOffset;
    const [first] = this.instantsOf(wallMs);
    if (first !== undefined) return first;
    // As it is left out, its offset changes between what it is by the one before and the one after.
    return this.periodAt(wallMs - this.offsetAt(wallMs - DAY_MS)).from;
  }

  #remember(index: number): void {
    const offset = this.#offsets[index]!;
    const before = this.#offsets[index - 1] ?? offset;
    const end = this.#endOf(index);
    const after = index + 1 < this.#count ? this.#offsets[index + 1]! : offset;
    this.#plainOffset = offset;
    this.#plainFrom = this.#starts[index]! + Math.max(before, offset);
    // Where the list ends, the next change isn't known: only what is listed is plain.
    this.#plainUntil = Math.min(end + Math.min(after, offset), this.#listedMs - DAY_MS);
  }

  #endOf(index: number): number {
    return index + 1 < this.#count ? this.#starts[index + 1]! : Number.POSITIVE_INFINITY;
  }

  #indexOf(utcMs: number): number {
    // The change after it has to be known as well.
    if (utcMs + LISTED_STEP_MS / 2 >= this.#listedMs) this.#listUntil(utcMs + LISTED_STEP_MS);
    const starts = this.#starts;
    let low = 0;
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= utcMs) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #listUntil(utcMs: number): void {
    const until = Math.max(LISTED_MS, utcMs);
    while (this.#listedMs < until) {
      const next = this.#last.getTimeZoneTransition("next");
      if (next === null) {
        this.#listedMs = Number.POSITIVE_INFINITY;
        return;
      }
      this.#last = next;
      this.#listedMs = next.epochMilliseconds;
      this.#add(this.#listedMs, next);
    }
  }

  #add(startMs: number, from: Temporal.ZonedDateTime): void {
    const offset = from.offsetNanoseconds / 1e6;
    // Some changes are of the name alone.
    if (this.#count > 0 && this.#offsets[this.#count - 1] === offset) return;
    if (this.#count === this.#starts.length) {
      this.#starts = grown(this.#starts);
      this.#offsets = grown(this.#offsets);
    }
    this.#starts[this.#count] = startMs;
    this.#offsets[this.#count++] = offset;
  }
}

function grown(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const twice = new Float64Array(array.length * 2);
  twice.set(array);
  return twice;
}

/** @returns how far beyond the years that are listed, in ms. */
function repeats(ms: number): number {
  return ms < REPEATED_MS ? 0 : Math.ceil((ms - REPEATED_MS) / CYCLE_MS) * CYCLE_MS;
}
