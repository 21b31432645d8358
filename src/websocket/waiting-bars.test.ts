import { expect, test } from "bun:test";
import { parseTimeframe } from "../calendar/timeframe.ts";
import { type BarFrameType, barFrame } from "../live-bars/bar-listener.ts";
import type { BarSpec } from "../live-bars/bar-spec.ts";
import { WaitingBars } from "./waiting-bars.ts";

const SPEC: BarSpec = {
  timeframe: parseTimeframe("1s"),
  source: "trades",
  calendar: null,
  session: null,
  key: "1s",
};

function frame(type: BarFrameType, second: number, position: number, ticker = "A") {
  const bucket = { start: second * 1e6, end: (second + 1) * 1e6 };
  return barFrame({ ticker, spec: SPEC, position, epoch: "e" }, type, bucket, null);
}

const taken = (waiting: WaitingBars): string[] => {
  const texts: string[] = [];
  for (let text = waiting.take("e"); text !== undefined; text = waiting.take("e")) {
    const { type, ticker, position, records, start, end } = JSON.parse(text);
    texts.push([type, ticker, position, records?.[0].timestamp ?? `${start} ${end}`].join(" "));
  }
  return texts;
};

test("of each bar the newest version waits, and one that is new to the client stays new", () => {
  const waiting = new WaitingBars(10_000);
  waiting.add(frame("bars", 1, 1));
  waiting.add(frame("updated_bars", 0, 2));
  waiting.add(frame("partial_bars", 2, 3));
  waiting.add(frame("updated_bars", 1, 4));
  waiting.add(frame("bars", 1, 5, "B"));
  expect(taken(waiting)).toEqual([
    "updated_bars A 2 1970-01-01T00:00:00.000000Z",
    "bars A 4 1970-01-01T00:00:01.000000Z",
    "bars B 5 1970-01-01T00:00:01.000000Z",
  ]);
  expect(waiting.bytes).toBe(0);
});

test("beyond the bound they become a gap of each ticker, from the first to the last", () => {
  const waiting = new WaitingBars(1_000);
  let second = 0;
  while (waiting.add(frame("bars", second, second, second % 2 === 0 ? "A" : "B"))) second++;
  expect(waiting.bytes).toBeLessThanOrEqual(1_000);
  waiting.drop(frame("bars", second, second, "A"));
  waiting.add(frame("bars", 50, 50));
  const texts = taken(waiting);
  expect(texts.map((text) => text.split(" ")[0])).toEqual(["bars_gap", "bars_gap", "bars"]);
  const end = new Date((second + 1) * 1_000).toISOString().replace("Z", "000Z");
  expect(texts[0]).toBe(`bars_gap A ${second} 1970-01-01T00:00:00.000000Z ${end}`);
});
