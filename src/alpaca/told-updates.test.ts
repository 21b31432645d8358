import { expect, test } from "bun:test";
import { zoneOf } from "../market/zone.ts";
import { barsFrame, gapFrame, realtimeFrame } from "../protocol/frames.ts";
import { numericId } from "./tick-ids.ts";
import { readToldFrame } from "./told-updates.ts";

const ZONE = zoneOf("America/New_York")!;

function rowsOf(frame: string): unknown[] {
  const told = readToldFrame(frame, ZONE);
  if (told.type !== "rows") throw new Error(`got ${told.type}`);
  return JSON.parse(
    JSON.stringify(
      told.rows.map(({ members }) => members),
      (_, v) => (typeof v === "bigint" ? String(v) : v),
    ),
  );
}

test("a trade has what its feed has sent of exchange, conditions and tape, by either name", () => {
  const stamp = "2024-01-02T15:00:00.123456789Z";
  const short = { timestamp: stamp, price: 1.5, size: 10, id: 7, x: "V", c: ["@", "I"], z: "C" };
  const long = {
    Timestamp: stamp,
    Price: "1.5",
    Size: 10,
    trade_id: "7",
    exchange: "V",
    conditions: "@",
    tape: "C",
  };
  const t = "2024-01-02T15:00:00.123456Z";
  expect(rowsOf(realtimeFrame("AAPL", "trade", [short], "timestamp"))).toEqual([
    { i: 7, x: "V", p: 1.5, s: 10, t, c: ["@", "I"], z: "C" },
  ]);
  expect(rowsOf(realtimeFrame("AAPL", "trade", [long], "timestamp"))).toEqual([
    { i: 7, x: "V", p: 1.5, s: 10, t, c: ["@"], z: "C" },
  ]);
});

test("the stamp is found by whatever name it was sent", () => {
  const records = [{ price: 1, size: 2, at: 1_704_207_600_000, other: 3 }];
  expect(rowsOf(realtimeFrame("AAPL", "trade", records, "at"))).toEqual([
    { x: "", p: 1, s: 2, t: "2024-01-02T15:00:00Z", c: [], z: "" },
  ]);
});

test("a trade without a price is left out, a side of a quote without one has 0", () => {
  const stamp = "2024-01-02 15:00:00";
  const trades = [
    { timestamp: stamp, price: null, size: 1 },
    { timestamp: stamp, price: 2, size: null },
  ];
  expect(rowsOf(realtimeFrame("AAPL", "trade", trades, "timestamp"))).toMatchObject([{ p: 2, s: 0 }]);
  const quotes = [{ timestamp: stamp, bid_price: 1.25, bid_size: 3 }];
  expect(rowsOf(realtimeFrame("AAPL", "quote", quotes, "timestamp"))).toEqual([
    { bx: "", bp: 1.25, bs: 3, ax: "", ap: 0, as: 0, t: "2024-01-02T15:00:00Z", c: [], z: "" },
  ]);
});

test("a bar of a day has the moment at which the day begins in New York", () => {
  const bar = { open: 1, high: 3, low: 0.5, close: 2, volume: 100 };
  const days = [
    { date: "2024-01-02", ...bar },
    { date: "2024-07-02", ...bar, n: 5, vw: 1.5 },
  ];
  expect(rowsOf(barsFrame("AAPL", days))).toEqual([
    { o: 1, h: 3, l: 0.5, c: 2, v: 100, n: null, vw: null, t: "2024-01-02T05:00:00Z" },
    { o: 1, h: 3, l: 0.5, c: 2, v: 100, n: 5, vw: 1.5, t: "2024-07-02T04:00:00Z" },
  ]);
});

test("only bars of a minute and of a day are told", () => {
  const bar = { datetime: "2024-01-02T15:00:00Z", open: 1, high: 3, low: 0.5, close: 2, volume: 100 };
  expect(readToldFrame(barsFrame("AAPL", [bar], "1min"), ZONE)).toMatchObject({ kind: "minuteBars" });
  expect(readToldFrame(barsFrame("AAPL", [bar], "5min"), ZONE)).toEqual({ type: "other" });
  expect(readToldFrame(barsFrame("AAPL", [bar]), ZONE)).toEqual({ type: "other" });
});

test("a gap is told, other types of ticks aren't", () => {
  const gap = { type: "gap", symbol: "AAPL", from: 3, to: 5 } as const;
  expect(readToldFrame(gapFrame("AAPL", 3, 5, "not_kept"), ZONE)).toEqual(gap);
  const records = [{ timestamp: "2024-01-02", price: 1, size: 1 }];
  expect(readToldFrame(realtimeFrame("AAPL", "index", records, "timestamp"), ZONE)).toEqual({
    type: "other",
  });
});

test("an id that is no integer has a number of its own, always the same", () => {
  expect(numericId("96921")).toBe(96_921);
  expect(numericId("9007199254740993")).toBe(9_007_199_254_740_993n);
  expect(numericId("007")).not.toBe(7);
  // xxHash64 of "abc" is 0x44bc2cf5ad770999.
  expect(numericId("abc")).toBe(Number(0x44bc2cf5ad770999n & (2n ** 53n - 1n)));
  expect(numericId("99999999999999999999")).toBeLessThan(2 ** 53);
});
