import { expect, test } from "bun:test";
import {
  allHeartbeatFrame,
  barsFrame,
  gapFrame,
  heartbeatFrame,
  initialPriceFrame,
  positioned,
  realtimeFrame,
} from "../../protocol/frames.ts";
import { readUpstreamFrame } from "./upstream-frame.ts";

const NOW = new Date("2024-01-02T15:00:00.123Z");
const EPOCH = "e-1";
const STAMP = "2024-01-02T00:00:00.000Z";

test("an update keeps its text and tells its ticker, type and position, whatever is saved in it", () => {
  for (const ticker of ["IBM", 'Ä"\\', "\\", "*", "株\n"]) {
    for (const type of ["trade", "heartbeat", "gap", "subscription", 'a"\\']) {
      const record = { timestamp: STAMP, price: 1, size: 2, seq: 5, note: ',"seq":7}' };
      const frame = realtimeFrame(ticker, type, [record], "timestamp");
      expect(readUpstreamFrame(positioned(frame, 18))).toEqual({
        kind: "update",
        ticker,
        update: { position: 18, type, frame },
      });
    }
    const frame = barsFrame(ticker, [{ date: "2024-01-02", epoch: EPOCH, seq: 3 }]);
    expect(readUpstreamFrame(positioned(frame, 2 ** 40))).toEqual({
      kind: "update",
      ticker,
      update: { position: 2 ** 40, type: "bar", frame },
    });
  }
});

test("the upstream's own frames are no updates", () => {
  const position = { seq: 4, epoch: EPOCH };
  const heartbeat = { kind: "heartbeat" as const, ticker: "IBM", epoch: EPOCH };
  expect(readUpstreamFrame(heartbeatFrame("IBM", NOW, position))).toEqual(heartbeat);
  expect(readUpstreamFrame(initialPriceFrame("IBM", 1, NOW, position))).toEqual(heartbeat);
  const ofAll = allHeartbeatFrame(NOW, [["IBM", 3]], EPOCH, true);
  expect(readUpstreamFrame(ofAll)).toEqual({ ...heartbeat, ticker: "*" });
  expect(readUpstreamFrame('{"type":"last_positions","positions":{"IBM":3}}')).toEqual({ kind: "other" });
  expect(readUpstreamFrame(gapFrame("IBM", 3, 4, "slow"))).toEqual({ kind: "gap", ticker: "IBM" });
  expect(readUpstreamFrame(`{"type":"subscription","epoch":"${EPOCH}","subscriptions":[]}`)).toEqual({
    kind: "subscription",
    epoch: EPOCH,
  });
  expect(readUpstreamFrame('{"type":"error","code":"unavailable","error":"later"}')).toEqual({
    kind: "error",
    code: "unavailable",
    error: "later",
  });
});

test("frames of an older server are told from those with positions", () => {
  const heartbeat = `{"symbol":"IBM","data":{"type":"heartbeat","timestamp":"${NOW.toISOString()}"}}`;
  const record = { timestamp: STAMP, price: 1, size: 2, seq: 5 };
  for (const frame of [
    heartbeat,
    realtimeFrame("IBM", "trade", [record], "timestamp"),
    barsFrame("IBM", [{ date: "2024-01-02", seq: 5 }]),
  ])
    expect(readUpstreamFrame(frame)).toBeNull();
});

test("what no server sends is garbage, whatever it looks like", () => {
  for (const text of [
    "",
    "hello",
    "[1]",
    '{"type":"error"',
    '{"symbol":"IBM',
    '{"symbol":"IBM","data":[]',
    '{"symbol":"IBM","data":[],"seq":9999999999999999}',
    '{"symbol":"IBM","rows":[],"seq":1}',
    '{"symbol":"\\x","data":[],"seq":1}',
  ])
    expect(readUpstreamFrame(text)).toEqual({ kind: "garbage" });
});
