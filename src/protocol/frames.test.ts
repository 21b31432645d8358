import { expect, test } from "bun:test";
import {
  barsFrame,
  heartbeatFrame,
  initialPriceFrame,
  positioned,
  realtimeFrame,
  snapshotJson,
} from "./frames.ts";

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
  expect(JSON.parse(heartbeatFrame('a"b', NOW))).toEqual({
    symbol: 'a"b',
    data: { type: "heartbeat", timestamp: "2024-01-02T15:00:00.123Z" },
  });
  expect(JSON.parse(initialPriceFrame("A", 1.5, NOW)).data.payload).toEqual([
    { price: 1.5, timestamp: "2024-01-02T15:00:00.123Z" },
  ]);
});

test("a position is the last member of a frame", () => {
  expect(positioned('{"symbol":"IBM","data":[]}', 18)).toBe('{"symbol":"IBM","data":[],"seq":18}');
});

test("a snapshot has the stamps of answers, all digits of its counts, and null for what isn't there", () => {
  const snapshot = snapshotJson({
    quote: ["2024-01-02 10:00:00.000001", 1.5, 3, null, "9007199254740993", 0],
    trade: null,
    daily: ["2024-01-02", 1, 2, 0.5, 0.1 + 0.2, "-9223372036854775808"],
    hourly: ["2024-01-02 10:00:00", null, null, null, 7, null],
  });
  expect(snapshot).toBe(
    '{"quote":{"timestamp":"2024-01-02T10:00:00.000001Z","bid_price":1.5,"bid_size":3,"ask_price":null,"ask_size":9007199254740993},' +
      '"trade":null,"bar":{"daily":{"date":"2024-01-02T00:00:00.000000Z","open":1,"high":2,"low":0.5,"close":0.30000000000000004,' +
      '"volume":-9223372036854775808},"hourly":{"datetime":"2024-01-02T10:00:00.000000Z","open":null,"high":null,"low":null,"close":7,"volume":null}}}',
  );
});
