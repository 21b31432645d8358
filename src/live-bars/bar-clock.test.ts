import { expect, test } from "bun:test";
import { parseTimeframe } from "../calendar/timeframe.ts";
import { BarClock } from "./bar-clock.ts";
import type { BarSpec } from "./bar-spec.ts";

const spec = (timeframe: string, calendar: string | null = null, session: string | null = null): BarSpec => ({
  timeframe: parseTimeframe(timeframe),
  source: "trades",
  calendar,
  session,
  key: "",
});
const ms = (text: string): number => Date.parse(text);
const iso = (micros: number): string => new Date(micros / 1_000).toISOString().replace(".000Z", "Z");
const shown = ({ start, end }: { start: number; end: number }): string => `${iso(start)} ${iso(end)}`;

test("buckets close one after the other, each once, a second after their end", () => {
  const clock = new BarClock(spec("1min"), ms("2024-01-02T14:30:30Z"));
  expect(shown(clock.next()!)).toBe("2024-01-02T14:30:00Z 2024-01-02T14:31:00Z");
  expect(iso(clock.dueMs()! * 1_000)).toBe("2024-01-02T14:31:01Z");
  expect(clock.advance(ms("2024-01-02T14:31:00.999Z")).closed).toEqual([]);
  expect(clock.advance(ms("2024-01-02T14:31:01Z")).closed.map(shown)).toEqual([
    "2024-01-02T14:30:00Z 2024-01-02T14:31:00Z",
  ]);
  expect(clock.advance(ms("2024-01-02T14:31:01Z")).closed).toEqual([]);
  expect(clock.advance(ms("2024-01-02T14:33:10Z")).closed.map(shown)).toEqual([
    "2024-01-02T14:31:00Z 2024-01-02T14:32:00Z",
    "2024-01-02T14:32:00Z 2024-01-02T14:33:00Z",
  ]);
  // A clock that is set back closes nothing twice.
  expect(clock.advance(ms("2024-01-02T14:32:30Z")).closed).toEqual([]);
  expect(clock.isClosed(clock.bucketOf(ms("2024-01-02T14:32:59Z") * 1_000)!)).toBe(true);
  expect(clock.isClosed(clock.bucketOf(ms("2024-01-02T14:33:00Z") * 1_000)!)).toBe(false);
});

test("after a sleep of days, the newest buckets close, and it says how many are left out", () => {
  const clock = new BarClock(spec("1min"), ms("2024-01-02T00:00:00Z"));
  const { closed, leftOut } = clock.advance(ms("2024-01-04T00:00:05Z"));
  expect(closed.length).toBe(1_000);
  expect(leftOut + closed.length).toBe(2 * 24 * 60 + 1);
  expect(shown(closed.at(-1)!)).toBe("2024-01-03T23:59:00Z 2024-01-04T00:00:00Z");
});

test("sessions of an exchange: over a night, a half day and a weekend", () => {
  const clock = new BarClock(spec("30min", "XNYS"), ms("2024-11-27T20:45:00Z"));
  const closing = (until: string): string[] => clock.advance(ms(until)).closed.map(shown);
  expect(closing("2024-11-27T23:00:00Z")).toEqual(["2024-11-27T20:30:00Z 2024-11-27T21:00:00Z"]);
  // Thanksgiving, then a half day.
  expect(shown(clock.next()!)).toBe("2024-11-29T14:30:00Z 2024-11-29T15:00:00Z");
  expect(closing("2024-11-30T00:00:00Z").at(-1)).toBe("2024-11-29T17:30:00Z 2024-11-29T18:00:00Z");
  expect(shown(clock.next()!)).toBe("2024-12-02T14:30:00Z 2024-12-02T15:00:00Z");
  expect(clock.bucketOf(ms("2024-11-29T18:00:00Z") * 1_000)).toBeNull();
});

test("days close when their date is over at the exchange, whatever the session; weeks and months too", () => {
  const days = new BarClock(spec("1Day", "XNYS"), ms("2024-03-08T22:00:00Z"));
  expect(shown(days.next()!)).toBe("2024-03-08T05:00:00Z 2024-03-09T05:00:00Z");
  expect(days.advance(ms("2024-03-11T12:00:00Z")).closed.map(shown)).toEqual([
    "2024-03-08T05:00:00Z 2024-03-09T05:00:00Z",
  ]);
  // The clocks have changed meanwhile.
  expect(shown(days.next()!)).toBe("2024-03-11T04:00:00Z 2024-03-12T04:00:00Z");
  const weeks = new BarClock(spec("1Week"), ms("2024-01-03T00:00:00Z"));
  expect(weeks.advance(ms("2024-01-15T00:00:01Z")).closed.map(shown)).toEqual([
    "2024-01-01T00:00:00Z 2024-01-08T00:00:00Z",
    "2024-01-08T00:00:00Z 2024-01-15T00:00:00Z",
  ]);
  const months = new BarClock(spec("1Month"), ms("2024-02-28T00:00:00Z"));
  expect(shown(months.next()!)).toBe("2024-02-01T00:00:00Z 2024-03-01T00:00:00Z");
});

test("every bucket closes exactly once, however the time is cut", () => {
  for (const [timeframe, calendar] of [
    ["7min", "XNYS"],
    ["90s", null],
    ["1Hour", "XHKG"],
    ["1Day", "CME"],
    ["1Day", "XNYS"],
  ] as const) {
    const from = ms("2024-03-01T00:00:00Z");
    const until = ms("2024-03-20T00:00:00Z");
    const whole = new BarClock(spec(timeframe, calendar), from);
    const cut = new BarClock(spec(timeframe, calendar), from);
    const inPieces: string[] = [];
    let step = 1;
    for (let at = from; at < until; at += step) {
      inPieces.push(...cut.advance(at).closed.map(shown));
      step = (step * 7_919) % 5_000_011;
    }
    inPieces.push(...cut.advance(until).closed.map(shown));
    const { closed, leftOut } = whole.advance(until);
    expect(inPieces.slice(leftOut)).toEqual(closed.map(shown));
    expect(new Set(inPieces).size).toBe(inPieces.length);
  }
});
