/** Whoever is told the bars of one ticker and spec. */
import type { BarValues } from "../analysis/bar-columns.ts";
import type { Bucket } from "../calendar/contract.ts";
import { stampOfMicros } from "../market/stamp-micros.ts";
import { toWire } from "../market/timestamp.ts";
import type { BarSpec, BarsWish } from "./bar-spec.ts";
import { barRecord } from "./read-bars.ts";

/** The type of frames: closed bars, closed ones that changed, one that still runs. */
export type BarFrameType = "bars" | "updated_bars" | "partial_bars";

/**
 * Why bars have to be asked for: clients are told it. `not_told`: an update changed rows, and not
 * which ones, or of too many bars.
 */
export type BarsGapReason = "too_many" | "not_told" | "not_kept" | "epoch_changed" | "slow" | "unavailable";

export interface BarFrame {
  ticker: string;
  spec: BarSpec;
  type: BarFrameType | "bars_gap";
  /** The bar is of the stored ticks up to here. */
  position: number;
  /** Null of a gap. */
  bucket: Bucket | null;
  /** Null: it has no tick, or it is a gap. */
  bar: BarValues | null;
  /** For clients. */
  text: string;
}

export interface BarListener extends Pick<BarsWish, "partialMs" | "emptyBars"> {
  take(frame: BarFrame): void;
}

export interface BarsAt {
  ticker: string;
  spec: BarSpec;
  position: number;
  epoch: string;
}

export function barFrame(at: BarsAt, type: BarFrameType, bucket: Bucket, bar: BarValues | null): BarFrame {
  const text = `${head(at, type)},"records":[${barRecord(bucket, bar)}]}`;
  return { ticker: at.ticker, spec: at.spec, type, position: at.position, bucket, bar, text };
}

/**
 * Bars whose buckets begin within these bounds may have changed, and aren't told.
 *
 * @param from and until in µs, from inclusive; infinite: unbounded.
 */
export function barsGapFrame(at: BarsAt, from: number, until: number, reason: BarsGapReason): BarFrame {
  const bound = (micros: number): string =>
    Number.isFinite(micros) ? `"${toWire(stampOfMicros(micros))}"` : "null";
  const text = `${head(at, "bars_gap")},"start":${bound(from)},"end":${bound(until)},"reason":"${reason}"}`;
  const { ticker, spec, position } = at;
  return { ticker, spec, type: "bars_gap", position, bucket: null, bar: null, text };
}

function head({ ticker, spec, position, epoch }: BarsAt, type: string): string {
  const { timeframe, source, calendar, session } = spec;
  const others = [
    source === "trades" ? "" : `,"source":"${source}"`,
    calendar === null ? "" : `,"calendar":${JSON.stringify(calendar)}`,
    session === null ? "" : `,"session":${JSON.stringify(session)}`,
  ].join("");
  return (
    `{"type":"${type}","ticker":${JSON.stringify(ticker)},"position":${position}` +
    `,"epoch":${JSON.stringify(epoch)},"timeframe":"${timeframe.name}"${others}`
  );
}
