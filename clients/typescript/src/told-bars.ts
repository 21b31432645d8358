/**
 * Live bars that a program has been told: after a lost connection, those of the minute before may
 * come again.
 */
import type { Frame, LiveBar } from "./updates.ts";

/** Longer than what may come again. */
const REMEMBERED_MS = 120_000;

export class ToldBars {
  /** Of a ticker and timeframe, by stamp: the bar as it was told. */
  readonly #told = new Map<string, Map<string, string>>();

  constructor(kept: Record<string, string[]>) {
    for (const [series, bars] of Object.entries(kept))
      this.#told.set(series, new Map(bars.map((text) => [JSON.parse(text).timestamp, text])));
  }

  kept(): Record<string, string[]> {
    return Object.fromEntries([...this.#told].map(([series, bars]) => [series, [...bars.values()]]));
  }

  /** The frame without bars that were told just so; null: it has no others. */
  news(frame: Frame): Frame | null {
    if (frame.type !== "bars" && frame.type !== "updated_bars") return frame;
    const told = this.#told.get(seriesOf(frame));
    if (told === undefined) return frame;
    const records = (frame.records as LiveBar[]).filter(
      (bar) => told.get(bar.timestamp) !== JSON.stringify(bar),
    );
    return records.length === 0 ? null : { ...frame, records };
  }

  told(frame: Frame): void {
    if (frame.type !== "bars" && frame.type !== "updated_bars") return;
    const series = seriesOf(frame);
    const told = this.#told.get(series) ?? new Map<string, string>();
    this.#told.set(series, told);
    let newest = 0;
    for (const bar of frame.records as LiveBar[]) {
      told.set(bar.timestamp, JSON.stringify(bar));
      newest = Math.max(newest, Date.parse(bar.end));
    }
    for (const [stamp, text] of told)
      if (Date.parse(JSON.parse(text).end) < newest - REMEMBERED_MS) told.delete(stamp);
  }
}

function seriesOf(frame: Frame): string {
  return `${frame.timeframe} ${frame.ticker}`;
}
