import { expect, test } from "bun:test";
import type { BusUpdate } from "./bus.ts";
import {
  countThatFit,
  decodeMessage,
  encodeEntry,
  encodeFeed,
  encodeFeedsMessage,
  encodeMessage,
} from "./message.ts";

const LIMITS = { messageBytesMax: 1_000, carriesFrames: true };
const update = (ticker: string, position: number, frame: string): BusUpdate => ({
  ticker,
  update: { position: position, type: "bar", frame },
});

test("what was encoded comes back, with any text", () => {
  const sent = [update("BRK.B", 1, '{"a":"\\u0000é😀\n"}'), update('"é\u2028', 2, "")];
  const entries = sent.map((each) => encodeEntry(each, LIMITS)!);
  expect(decodeMessage(encodeMessage("server-1", true, entries))).toEqual({
    from: "server-1",
    missed: true,
    updates: sent.map(({ ticker, update }) => ({ ticker, position: update.position, update })),
    feeds: [],
  });
});

test("figures of feeds come back too, and one that is too large is left out", () => {
  const feeds = [
    { ticker: "é😀", type: "trade", interval: null, rows: 7, saves: 2, stamp: "2026-01-02 10:00:00.000000" },
    { ticker: "A", type: "bar", interval: "5min", rows: 1, saves: 1, stamp: null },
  ];
  const entries = feeds.map((feed) => encodeFeed(feed, LIMITS)!);
  const message = { from: "s", missed: false, updates: [], feeds };
  expect(decodeMessage(encodeFeedsMessage("s", entries))).toEqual(message);
  expect(encodeFeed({ ...feeds[0]!, ticker: "A".repeat(1_000) }, LIMITS)).toBeNull();
});

test("a frame that is too large in bytes goes as a position", () => {
  const small = encodeEntry(update("A", 7, "é".repeat(400)), LIMITS)!;
  const large = encodeEntry(update("A", 7, "é".repeat(440)), LIMITS)!;
  expect(small.bytes).toBe(Buffer.byteLength(small.text) + 1);
  expect(large.text).toBe('["A",7]');
  const positions = encodeEntry(update("é😀", 7, "{}"), { messageBytesMax: 1_000, carriesFrames: false })!;
  expect(positions.text).toBe('["\\u00e9\\ud83d\\ude00",7]');
  expect(decodeMessage(encodeMessage("s", false, [positions]))!.updates).toEqual([
    { ticker: "é😀", position: 7, update: null },
  ]);
  expect(encodeEntry(update("A".repeat(1_000), 7, "{}"), LIMITS)).toBeNull();
});

test("messages are as large as may be, and never larger", () => {
  const entries = Array.from(
    { length: 100 },
    (_, i) => encodeEntry(update("AAPL", i + 1, "x".repeat(i)), LIMITS)!,
  );
  const sizes: number[] = [];
  for (let first = 0; first < entries.length; ) {
    const count = countThatFit(entries, first, LIMITS.messageBytesMax);
    expect(count).toBeGreaterThan(0);
    sizes.push(
      Buffer.byteLength(encodeMessage(crypto.randomUUID(), true, entries.slice(first, first + count))),
    );
    first += count;
  }
  expect(Math.max(...sizes)).toBeLessThanOrEqual(LIMITS.messageBytesMax);
  expect(sizes.length).toBeLessThan(15);
});

test.each([
  "",
  "hello",
  "null",
  "[]",
  '{"from":1,"updates":[]}',
  '{"from":"a"}',
  '{"from":"a","missed":1,"updates":[]}',
  '{"from":"a","updates":[],"feeds":1}',
  '{"from":"a","updates":[],"feeds":[["A","trade",null,-1,1,null]]}',
  '{"from":"a","updates":[],"feeds":[["A","trade",5,1,1,null]]}',
  '{"from":"a","updates":[["A"]]}',
  '{"from":"a","updates":[["A",0]]}',
  '{"from":"a","updates":[["A",1.5]]}',
  '{"from":"a","updates":[["A",1,"bar"]]}',
  '{"from":"a","updates":[["A",1,"bar",{}]]}',
])("no server has written %j", (text) => {
  expect(decodeMessage(text)).toBeNull();
});
