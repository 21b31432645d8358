/** Time zones by their IANA names, such as America/New_York: wall clocks to UTC and back. */

/** Zones change their offset at whole quarters of an hour. */
const BUCKET_MS = 900_000;
const DAY_MS = 86_400_000;
/** Quarters of an hour that are remembered: two years of a file in order of time. */
const CACHE_MAX = 70_000;
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

export class Zone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;
  /** Offsets in ms by quarter of an hour in UTC, and by that of the wall clock. */
  readonly #offsets = new Map<number, number>();
  readonly #wallOffsets = new Map<number, number[]>();

  constructor(name: string) {
    this.name = name;
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
      era: "short",
    });
  }

  /** East of UTC, in ms, at a Unix time. */
  offsetAt(utcMs: number): number {
    const bucket = Math.floor(utcMs / BUCKET_MS);
    let offset = this.#offsets.get(bucket);
    if (offset === undefined) {
      offset = this.#lookUp(bucket * BUCKET_MS);
      if (this.#offsets.size >= CACHE_MAX) this.#offsets.clear();
      this.#offsets.set(bucket, offset);
    }
    return offset;
  }

  /**
   * @param wallMs The wall clock as if it were UTC.
   * @returns the Unix times at which clocks show it, the earlier one first: two in the hour that is
   *   repeated in autumn, none in the one that spring leaves out.
   */
  instantsOf(wallMs: number): number[] {
    const bucket = Math.floor(wallMs / BUCKET_MS);
    let offsets = this.#wallOffsets.get(bucket);
    if (offsets === undefined) {
      const startMs = bucket * BUCKET_MS;
      const around = [this.offsetAt(startMs - DAY_MS), this.offsetAt(startMs + DAY_MS)];
      offsets = [...new Set(around)]
        .filter((offset) => this.offsetAt(startMs - offset) === offset)
        .sort((a, b) => b - a);
      if (this.#wallOffsets.size >= CACHE_MAX) this.#wallOffsets.clear();
      this.#wallOffsets.set(bucket, offsets);
    }
    return offsets.map((offset) => wallMs - offset);
  }

  #lookUp(utcMs: number): number {
    const parts: Record<string, string> = {};
    for (const { type, value } of this.#format.formatToParts(utcMs)) parts[type] = value;
    const { year, month, day, hour, minute, second } = parts;
    const wall = new Date(0);
    wall.setUTCFullYear(parts.era === "BC" ? 1 - Number(year) : Number(year), Number(month) - 1, Number(day));
    return wall.setUTCHours(Number(hour), Number(minute), Number(second)) - utcMs;
  }
}
