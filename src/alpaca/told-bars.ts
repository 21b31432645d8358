/**
 * The newest minute of each ticker whose bar subscribers know: a bar of it, or of an earlier one,
 * is a correction.
 */

import { stampOfMicros } from "../market/stamp-micros.ts";

/** Whoever stores bars of minutes as they end has stored one of the last so many. */
const LIVE_MS = 5 * 60_000;
/** Tickers that are remembered. Beyond it those whose first bar came earliest are forgotten. */
const TICKERS_MAX = 100_000;

/** A bar, by its minute as it is stored, in UTC. */
interface ToldMinute {
  stamp: string;
  /** Somebody's own, and not only made of trades. */
  isStored: boolean;
}

export class ToldBars {
  /** The newest minute, and the newest of which a bar is stored. */
  readonly #newest = new Map<string, { told: string; stored: string }>();

  /** Somebody stores bars of the ticker as their minutes end; a backfill is none of these. */
  areStoredLive(ticker: string, nowMs: number): boolean {
    const stored = this.#newest.get(ticker)?.stored ?? "";
    return stored >= stampOfMicros((nowMs - LIVE_MS) * 1_000);
  }

  /** Bars of this minute, or of later ones, are stored. */
  isCovered(ticker: string, stamp: string): boolean {
    return stamp <= (this.#newest.get(ticker)?.stored ?? "");
  }

  /** @returns whether the bar is a correction. */
  tell(ticker: string, { stamp, isStored }: ToldMinute): boolean {
    const before = this.#newest.get(ticker);
    const isCorrection = before !== undefined && stamp <= before.told;
    const stored = before?.stored ?? "";
    this.#newest.set(ticker, {
      told: isCorrection ? before.told : stamp,
      stored: isStored && stamp > stored ? stamp : stored,
    });
    this.#bound();
    return isCorrection;
  }

  /** @param stamp of the newest bar that is stored. */
  know(ticker: string, stamp: string): void {
    this.#newest.set(ticker, { told: stamp, stored: stamp });
    this.#bound();
  }

  #bound(): void {
    if (this.#newest.size <= TICKERS_MAX) return;
    const [oldest] = this.#newest.keys();
    this.#newest.delete(oldest!);
  }

  forget(ticker: string): void {
    this.#newest.delete(ticker);
  }

  clear(): void {
    this.#newest.clear();
  }
}
