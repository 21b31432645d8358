/** What a client that comes back has missed of its bars. */
import type { Bucket } from "../calendar/contract.ts";
import { positionBefore } from "../storage/position-at.ts";
import type { Since, UpdateReader } from "../storage/update-contract.ts";
import { READ_LIMIT } from "../stream/catch-up.ts";
import { matches, onlyTypes } from "../stream/type-filter.ts";
import { turn } from "../time/pauses.ts";
import type { BarFrame, BarsGapReason } from "./bar-listener.ts";
import { EVERYTHING, type Touched, touchedStamps } from "./touched-stamps.ts";
import type { WatchedBars } from "./watched-bars.ts";

/** Bars that are told; what was before is a gap. */
const RESUMED_BARS_MAX = 1_000;
/** Older bars that are read again, as an update has touched them. */
const RESUMED_CHANGES_MAX = 256;
/**
 * Bars are told some time after the update that changed them. So those of this time before the
 * position of whoever comes back are told again.
 */
const MARGIN_MS = 60_000;
const MS_MICROS = 1_000;
/** Removals that are kept apart; where there are more, any bar may have been emptied. */
const REMOVED_MAX = 100;

export interface BarsSince {
  since: Since;
  /** Null: that of this database. */
  epoch: string | null;
}

interface ResumeAsked {
  updates: UpdateReader;
  since: BarsSince;
  emptyBars: boolean;
  signal: AbortSignal;
}

/** @throws RequestError 503 */
export async function resumeBars(bars: WatchedBars, asked: ResumeAsked): Promise<BarFrame[]> {
  const { updates, since, emptyBars, signal } = asked;
  const everything = (reason: BarsGapReason): BarFrame[] => [
    bars.gapFrame(Number.NEGATIVE_INFINITY, bars.clock.closedUntil, reason),
  ];
  if (since.epoch !== null && since.epoch !== (await updates.epoch())) return everything("epoch_changed");
  const sinceMs = await timeOf(bars.ticker, since.since, updates);
  if (sinceMs === "new") return [];
  const fromMs = sinceMs === null ? null : sinceMs - MARGIN_MS;
  const before = fromMs === null ? null : await positionBefore(updates, bars.ticker, fromMs);
  if (fromMs === null || before === null) return everything("not_kept");
  const from = Math.max(fromMs * MS_MICROS, bars.clock.closedUntil - bars.spanOf(RESUMED_BARS_MAX));
  const told: BarFrame[] = [];
  if (from > fromMs * MS_MICROS) told.push(bars.gapFrame(fromMs * MS_MICROS, from, "too_many"));
  const { changed, gap, removed } = await changedSince(bars, updates, before, from);
  if (gap !== null) told.push(bars.gapFrame(gap.from, gap.until, gap.reason));
  for (const bucket of changed) told.push(await bars.frameOf(bucket, signal));
  const emptied = ({ start, end }: Bucket): boolean =>
    removed.some((range) => end > range.from && start <= range.to);
  return [...told, ...(await bars.closedSince(from, { emptyBars, emptied, signal }))];
}

/**
 * When the client had what it says, or, of one that has nothing, when the first update came; null:
 * that isn't known any more. "new": there is no update.
 */
async function timeOf(ticker: string, since: Since, updates: UpdateReader): Promise<number | "new" | null> {
  if ("timeMs" in since) return since.timeMs;
  const position = Math.max(1, since.position);
  const [update] = await updates.after(ticker, position - 1, { updates: 1, characters: 1 });
  if (update === undefined && since.position === 0 && (await updates.newest(ticker)).position === 0)
    return "new";
  return update?.position === position ? update.savedAtMs : null;
}

const ALL_TIME: TimeRange = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };

interface TimeRange {
  from: number;
  to: number;
}

interface Changed {
  changed: Bucket[];
  /** Where ticks were removed, inclusive; a bar that was told may have none any more. */
  removed: TimeRange[];
  gap: { from: number; until: number; reason: BarsGapReason } | null;
}

/** What updates after the position have touched: buckets before a time, and what was removed. */
async function changedSince(
  bars: WatchedBars,
  updates: UpdateReader,
  position: number,
  until: number,
): Promise<Changed> {
  const { clock, ticker, spec } = bars;
  const filter = onlyTypes([spec.source === "trades" ? "trade" : "quote"]);
  const changed = new Map<number, Bucket>();
  let removed: TimeRange[] = [];
  const lost = (from: number, reason: BarsGapReason): Changed => ({
    changed: [],
    removed: [ALL_TIME],
    gap: { from, until, reason },
  });
  for (let after = position; ; ) {
    const read = await updates.after(ticker, after, READ_LIMIT);
    if (read.length === 0) return { changed: [...changed.values()], removed, gap: null };
    for (const update of read) {
      const isKept = update.frame !== "" && update.position === after + 1;
      after = update.position;
      if (isKept && !matches(filter, update.type)) continue;
      const touched: Touched = isKept ? touchedStamps(update.frame) : EVERYTHING;
      if (!("stamps" in touched)) {
        if (touched.from < until) return lost(touched.from, isKept ? "not_told" : "not_kept");
        removed = removed.length < REMOVED_MAX ? [...removed, touched] : [ALL_TIME];
        continue;
      }
      for (const micros of touched.stamps) {
        const bucket = micros < until ? clock.bucketOf(micros) : null;
        if (bucket !== null && bucket.end <= until) changed.set(bucket.start, bucket);
      }
      if (changed.size > RESUMED_CHANGES_MAX) return lost(Math.min(...changed.keys()), "too_many");
    }
    await turn();
  }
}
