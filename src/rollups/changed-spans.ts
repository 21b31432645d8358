/**
 * Where in time an update has changed what bars are made of. It may tell more than that, and never
 * less: frames have the records as clients have sent them.
 */
import { microsOfStamp } from "../market/stamp-micros.ts";
import { parseTimestamp } from "../market/timestamp.ts";
import { BAR_DELETE, TICKER_RENAME, tickDeleteType } from "../protocol/frames.ts";
import { foldNames, isObject, type JsonRecord } from "../protocol/json.ts";
import { ALL_PARTS } from "../storage/edits.ts";
import type { Update } from "../storage/update-contract.ts";
import { ALL_TIME, type TimeSpan } from "./spans.ts";

export const TRADE = "trade";
const NONE: readonly TimeSpan[] = [];
const EVERYTHING: readonly TimeSpan[] = [ALL_TIME];

/** What a record may have instead of a stamp. */
const NOW = ["now", "today"];
/** Those were read before the update was committed, by a clock that goes about right. */
const NOW_SLACK_MICROS = 3_600_000_000;

/**
 * @param intervals names of the bars that are rolled up.
 * @param savedAtMs about.
 */
export function changedSpans(
  { type, frame }: Pick<Update, "type" | "frame">,
  intervals: readonly string[],
  savedAtMs: number,
): readonly TimeSpan[] {
  switch (type) {
    case TRADE:
      return spanOfTrades(dataOf(frame), savedAtMs);
    case tickDeleteType(TRADE):
    case tickDeleteType(ALL_PARTS):
      return spanOfRemoval(dataOf(frame));
    case BAR_DELETE: {
      const data = dataOf(frame);
      // Bars that a roll-up has made come back; those of other lengths are none of its business.
      const isOther = data !== null && !intervals.includes(String(data.interval));
      return isOther ? NONE : spanOfRemoval(data);
    }
    case TICKER_RENAME:
      return EVERYTHING;
    default:
      return NONE;
  }
}

function dataOf(frame: string): JsonRecord | null {
  // The log keeps no content of copied rows.
  if (frame === "") return null;
  try {
    const { data } = JSON.parse(frame) as JsonRecord;
    return isObject(data) ? data : null;
  } catch {
    return null;
  }
}

/**
 * The frame doesn't always name the member that holds the stamps. It is one of those that hold the
 * stamp of the first record, which the frame tells; the span is that of all of them together.
 */
function spanOfTrades(data: JsonRecord | null, savedAtMs: number): readonly TimeSpan[] {
  if (data === null || !Array.isArray(data.payload)) return EVERYTHING;
  const records = data.payload as JsonRecord[];
  if (records.length === 0 || !records.every(isObject)) return EVERYTHING;
  const first = Object.entries(foldNames(records[0]!));
  const spans = first
    .filter(([, value]) => value === data.timestamp)
    .flatMap(([name]) => spanOfMember(records, name, savedAtMs) ?? []);
  if (spans.length === 0) return EVERYTHING;
  return [
    {
      from: Math.min(...spans.map(({ from }) => from)),
      until: Math.max(...spans.map(({ until }) => until)),
    },
  ];
}

/** Null: some record has no stamp there, so it isn't the member that was stored. */
function spanOfMember(records: readonly JsonRecord[], name: string, savedAtMs: number): TimeSpan | null {
  let from = Number.POSITIVE_INFINITY;
  let until = Number.NEGATIVE_INFINITY;
  for (const record of records) {
    const value = Object.hasOwn(record, name) ? record[name] : foldNames(record)[name];
    const isNow = typeof value === "string" && NOW.includes(value.trim().toLowerCase());
    const micros = isNow ? savedAtMs * 1_000 : microsOf(value);
    if (Number.isNaN(micros)) return null;
    // The parsed number may have lost digits that the stored one has.
    const slack = isNow ? NOW_SLACK_MICROS : typeof value === "number" ? 1 : 0;
    if (micros - slack < from) from = micros - slack;
    if (micros + slack >= until) until = micros + slack + 1;
  }
  return { from, until };
}

/** @returns NaN for what is no stamp. */
function microsOf(value: unknown): number {
  try {
    const stamp = parseTimestamp(value);
    return stamp === null ? Number.NaN : microsOfStamp(stamp);
  } catch {
    return Number.NaN;
  }
}

function spanOfRemoval(data: JsonRecord | null): readonly TimeSpan[] {
  if (data === null) return EVERYTHING;
  const from = data.start === null ? Number.NEGATIVE_INFINITY : microsOfStamp(String(data.start));
  const last = data.end === null ? Number.POSITIVE_INFINITY : microsOfStamp(String(data.end));
  if (Number.isNaN(from) || Number.isNaN(last)) return EVERYTHING;
  return [{ from, until: last + 1 }];
}
