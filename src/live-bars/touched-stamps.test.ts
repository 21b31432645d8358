import { expect, test } from "bun:test";
import {
  gapFrame,
  positioned,
  realtimeFrame,
  tickerRenamedFrame,
  ticksRemovedFrame,
} from "../protocol/frames.ts";
import { EVERYTHING, touchedStamps } from "./touched-stamps.ts";

const micros = (text: string): number => Date.parse(text) * 1_000;

test("stamps of trades, however they are written", () => {
  const trades = [
    { TIMESTAMP: "2024-01-02T10:00:00-05:00", price: 1 },
    { timestamp: 1704207600123, price: 1 },
  ];
  const stamps = [micros("2024-01-02T15:00:00Z"), micros("2024-01-02T15:00:00.123Z")];
  expect(touchedStamps(realtimeFrame("A", "trade", trades, "timestamp"))).toEqual({ stamps });
  const named = trades.map((trade) => ({ TS: trade.TIMESTAMP ?? trade.timestamp, price: 1 }));
  const frame = realtimeFrame("A", "trade", named, "ts", { index_col: "ts" });
  expect(touchedStamps(frame)).toEqual({ stamps });
  expect(touchedStamps(positioned(frame, 7))).toEqual({ stamps });
});

test("removals tell their bounds; what isn't understood concerns everything", () => {
  const removed = (start: string | null, end: string | null) =>
    touchedStamps(ticksRemovedFrame("A", "trade", { start, end, removed: 1 }));
  const [start, end] = ["2024-01-02T15:00:00.000000Z", "2024-01-02T15:00:01.000000Z"];
  expect(removed(start, end)).toEqual({ from: micros(start), to: micros(end) });
  expect(removed(null, end)).toEqual({ from: Number.NEGATIVE_INFINITY, to: micros(end) });
  for (const frame of [
    tickerRenamedFrame("A", { old: "A", new: "B", renamed: 1 }),
    realtimeFrame("A", "trade", [{ when: "2024-01-02", price: 1 }], "when"),
    gapFrame("A", 1, 2, "not_kept"),
    "[]",
    "no JSON",
  ])
    expect(touchedStamps(frame)).toEqual(EVERYTHING);
});
