/** The running bar of a replay: what the server would make of the trades played so far. */
import type { Bar, Trade } from "../../api/live-frames.ts";

const DAY_MS = 24 * 3_600_000;
/** 1970-01-05, a Monday: weeks begin with it. */
const MONDAY_MS = 4 * DAY_MS;

export class BarsOfTrades {
  readonly #lengthMs: number;
  readonly #originMs: number;
  readonly #running = new Map<string, Bar>();

  /** @param seconds of a bar; more than a week is taken for a week. */
  constructor(seconds: number) {
    this.#lengthMs = Math.min(seconds * 1_000, 7 * DAY_MS);
    this.#originMs = this.#lengthMs === 7 * DAY_MS ? MONDAY_MS : 0;
  }

  /** @returns null: the trade has no price. */
  add(symbol: string, { timestamp, price, size }: Trade): Bar | null {
    if (price === null) return null;
    const ms = Date.parse(timestamp) - this.#originMs;
    const start = new Date(Math.floor(ms / this.#lengthMs) * this.#lengthMs + this.#originMs).toISOString();
    const before = this.#running.get(symbol);
    const bar =
      before?.timestamp === start
        ? {
            ...before,
            high: Math.max(before.high!, price),
            low: Math.min(before.low!, price),
            close: price,
            volume: before.volume === null || size === null ? null : before.volume + size,
          }
        : { timestamp: start, open: price, high: price, low: price, close: price, volume: size };
    this.#running.set(symbol, bar);
    return bar;
  }
}
