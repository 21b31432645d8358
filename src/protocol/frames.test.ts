import { expect, test } from "bun:test";
import { barsFrame, heartbeatFrame, initialPriceFrame, positioned, realtimeFrame } from "./frames.ts";

const NOW = new Date("2024-01-02T15:00:00.123Z");

test("a quote is told in the names of a quote, however its columns were written", () => {
  const record = { Timestamp: "2024-01-02T15:00:00Z", Price: 161.5, SIZE: 3, Ask_Price: 162 };
  expect(JSON.parse(realtimeFrame("IBM", "quote", [record], "timestamp"))).toEqual({
    symbol: "IBM",
    data: {
      type: "quote",
      timestamp: "2024-01-02T15:00:00Z",
      event_type: "quote_update",
      payload: [
        { timestamp: "2024-01-02T15:00:00Z", bid_price: 161.5, bid_size: 3, ask_price: 162, ask_size: null },
      ],
    },
  });
});

test("other ticks are told as sent", () => {
  const record = { TS: "2024-01-02T15:00:00Z", price: 161.5, size: 3, exchange: "N" };
  const { data } = JSON.parse(realtimeFrame("IBM", "trade", [record], "ts"));
  expect(data).toEqual({
    type: "trade",
    timestamp: record.TS,
    event_type: "trade_update",
    payload: [record],
  });
});

test("integers beyond a double keep their digits", () => {
  expect(barsFrame("A", [{ volume: 9007199254740993n }])).toBe(
    '{"symbol":"A","data":[{"volume":9007199254740993}]}',
  );
});

test("heartbeats and first prices are stamped in UTC, and a ticker can't break out of its quotes", () => {
  expect(JSON.parse(heartbeatFrame('a"b', NOW, { seq: 17, epoch: "e" }))).toEqual({
    symbol: 'a"b',
    data: { type: "heartbeat", timestamp: "2024-01-02T15:00:00.123Z" },
    seq: 17,
    epoch: "e",
  });
  expect(JSON.parse(initialPriceFrame("A", 1.5, NOW, { seq: 0, epoch: "e" })).data.payload).toEqual([
    { price: 1.5, timestamp: "2024-01-02T15:00:00.123Z" },
  ]);
});

test("a position is the last member of a frame", () => {
  expect(positioned('{"symbol":"IBM","data":[]}', 18)).toBe('{"symbol":"IBM","data":[],"seq":18}');
});
