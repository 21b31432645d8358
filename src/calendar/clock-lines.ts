import type { OffsetPeriod, Zone } from "../market/zone.ts";

/**
 * The lines of a grid on a wall clock. They lie at whole steps from an anchor, by what clocks
 * show. Where clocks jump, the last bucket before it ends early, and a first one of the step that
 * they jump into begins with the jump. Where they go back, the lines come again, so an hour has two
 * buckets, but four hours that hold the change have one, of five hours.
 *
 * All in µs since 1970.
 */
export class ClockLines {
  /** The bucket last found. */
  from = Number.NaN;
  until = Number.NaN;
  /** The offset holds here; lines lie at `base` and whole steps from it. */
  periodFrom = Number.NaN;
  periodUntil = Number.NaN;
  base = Number.NaN;
  readonly #zone: Zone;
  readonly #step: number;
  #period: OffsetPeriod = { from: Number.NaN, until: Number.NaN, offset: 0 };

  constructor(zone: Zone, step: number) {
    this.#zone = zone;
    this.#step = step;
  }

  /** @param anchor A wall clock as if it were UTC. */
  seek(micros: number, anchor: number): void {
    if (!(micros >= this.periodFrom && micros < this.periodUntil)) {
      this.#period = this.#zone.periodAt(Math.floor(micros / 1_000));
      this.periodFrom = this.#period.from * 1_000;
      this.periodUntil = this.#period.until * 1_000;
    }
    const period = this.#period;
    this.base = anchor - period.offset * 1_000;
    const index = this.#indexOf(micros, this.base);
    this.from = this.#begin(period, anchor, index);
    this.until = this.#end(period, anchor, index);
  }

  #begin(period: OffsetPeriod, anchor: number, index: number): number {
    const line = anchor - period.offset * 1_000 + index * this.#step;
    const changed = period.from * 1_000;
    if (line >= changed) return line;
    const before = this.#zone.periodAt(period.from - 1);
    const isSame = this.#indexOf(changed - 1, anchor - before.offset * 1_000) === index;
    return isSame ? this.#begin(before, anchor, index) : changed;
  }

  #end(period: OffsetPeriod, anchor: number, index: number): number {
    const line = anchor - period.offset * 1_000 + (index + 1) * this.#step;
    const changes = period.until * 1_000;
    if (line < changes) return line;
    const after = this.#zone.periodAt(period.until);
    const base = anchor - after.offset * 1_000;
    const isSame = this.#indexOf(changes, base) === index && base + index * this.#step !== changes;
    return isSame ? this.#end(after, anchor, index) : changes;
  }

  #indexOf(micros: number, base: number): number {
    return Math.floor((micros - base) / this.#step);
  }
}
