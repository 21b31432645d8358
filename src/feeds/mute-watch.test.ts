import { expect, test } from "bun:test";
import { readCalendarRules } from "../calendar/calendar-rule.ts";
import { OpenHours } from "../calendar/open-hours.ts";
import type { FeedCount } from "./feed.ts";
import { FeedBook, type HeldFeed } from "./feed-book.ts";
import { endOf, MuteWatch } from "./mute-watch.ts";

const STALE_AFTER_MS = 120_000;
/** A Wednesday, an hour after New York has opened. */
const IN_SESSION = Date.parse("2026-07-08T14:30:00Z");

/** A watch that is looked at once a second, on a clock that the test moves. */
class Bench {
  nowMs: number;
  monotonicMs = 1_000;
  readonly book: FeedBook;
  readonly watch: MuteWatch;
  readonly told: string[] = [];

  constructor(
    beginMs: number,
    { calendars = [], isShared = false }: { calendars?: string[]; isShared?: boolean } = {},
  ) {
    const rules = readCalendarRules(calendars);
    const openHours = rules.map((rule) => new OpenHours(rule));
    this.nowMs = beginMs;
    this.book = new FeedBook(rules, () => undefined);
    this.watch = new MuteWatch(
      { staleAfterMs: STALE_AFTER_MS, openHours, isShared },
      beginMs,
      this.monotonicMs,
    );
  }

  heard(ticker: string, of: Partial<FeedCount> = {}): HeldFeed {
    const stamp = new Date(this.nowMs).toISOString().slice(0, 19).replace("T", " ");
    const count = { ticker, type: "trade", interval: null, rows: 1, saves: 1, heardMs: this.nowMs, stamp };
    const feed = this.book.count({ ...count, ...of }, this.nowMs);
    if (this.watch.heard(feed)) this.#tell(endOf(feed, "update"));
    return feed;
  }

  /** Each second of so many, looks; `during` comes before each look. */
  pass(seconds: number, during: () => void = () => undefined): void {
    for (let i = 0; i < seconds; i++) {
      this.nowMs += 1_000;
      this.monotonicMs += 1_000;
      during();
      this.look();
    }
  }

  look(): void {
    for (const change of this.watch.look(this.book, this.nowMs, this.monotonicMs).changes) this.#tell(change);
  }

  #tell({ feed, end }: { feed: HeldFeed; end: string | null }): void {
    this.told.push(`${feed.figures.ticker} ${end ?? "stale"}`);
  }
}

test("a feed is stale once it has been silent for longer than its time, and alive with the next rows", () => {
  const bench = new Bench(IN_SESSION);
  bench.heard("A");
  bench.pass(120);
  expect(bench.told).toEqual([]);
  bench.pass(2);
  expect(bench.told).toEqual(["A stale"]);
  bench.pass(500);
  bench.heard("A");
  expect(bench.told).toEqual(["A stale", "A update"]);
  bench.pass(121);
  expect(bench.told).toEqual(["A stale", "A update", "A stale"]);
});

test("bars get the time of their length beside, and those of days, and what has no rhythm, are not watched", () => {
  const bench = new Bench(IN_SESSION);
  bench.heard("MINUTE", { type: "bar", interval: "1min" });
  bench.heard("HOUR", { type: "bar", interval: "hourly" });
  bench.heard("DAY", { type: "bar", interval: "daily" });
  bench.heard("OPTION", { type: "option" });
  bench.heard("FIGURE", { type: "financial" });
  bench.heard("ACTION", { type: "corporate_action" });
  bench.pass(180);
  expect(bench.told).toEqual([]);
  bench.pass(2);
  expect(bench.told).toEqual(["MINUTE stale"]);
  bench.pass(3_600 + 120);
  expect(bench.told).toEqual(["MINUTE stale", "HOUR stale"]);
});

test("rows of history alone are no feed that can go mute", () => {
  const bench = new Bench(IN_SESSION);
  bench.heard("A", { stamp: "2020-01-02 15:00:00.000000" });
  bench.pass(300);
  expect(bench.told).toEqual([]);
  bench.heard("A");
  bench.heard("A", { stamp: "2020-01-02 15:00:00.000000" });
  bench.pass(300);
  expect(bench.told).toEqual(["A stale"]);
});

test("outside of the session nothing becomes stale; what is, ends with it, and the open gives the full time", () => {
  const close = Date.parse("2026-07-08T20:00:00Z");
  const bench = new Bench(close - 600_000, { calendars: ["CRYPTO=24/7", "XNYS"] });
  bench.heard("EARLY");
  bench.pass(480, () => bench.heard("CRYPTO"));
  expect(bench.told).toEqual(["EARLY stale"]);
  bench.heard("LATE");
  bench.pass(120 + 3_600, () => bench.heard("CRYPTO"));
  expect(bench.told).toEqual(["EARLY stale", "EARLY session_closed"]);
  bench.nowMs = Date.parse("2026-07-09T13:29:59Z");
  bench.pass(121, () => bench.heard("CRYPTO"));
  expect(bench.told).toHaveLength(2);
  bench.pass(2);
  expect(bench.told.slice(2).sort()).toEqual(["EARLY stale", "LATE stale"]);
  bench.pass(125);
  expect(bench.told.at(-1)).toBe("CRYPTO stale");
});

test("a break ends the session as the close does", () => {
  const bench = new Bench(Date.parse("2026-07-08T02:00:00Z"), { calendars: ["XHKG"] });
  bench.heard("700");
  bench.pass(7_200 + 3_600 - 1, () => {
    if (bench.nowMs < Date.parse("2026-07-08T03:59:30Z")) bench.heard("700");
  });
  // Lunch from 04:00 to 05:00 UTC.
  expect(bench.told).toEqual([]);
  bench.pass(123);
  expect(bench.told).toEqual(["700 stale"]);
});

test("a clock that jumps, and a machine that stood still, alarm for nothing", () => {
  const bench = new Bench(IN_SESSION, { calendars: ["XNYS"] });
  for (let i = 0; i < 100; i++) bench.heard(`T${i}`);
  bench.pass(60);
  for (const jumpMs of [3_600_000, -7_200_000, 86_400_000, -86_400_000]) {
    bench.nowMs += jumpMs;
    bench.look();
  }
  // It stood still for an hour: what has come meanwhile isn't read yet.
  bench.nowMs += 3_600_000;
  bench.monotonicMs += 3_600_000;
  bench.look();
  expect(bench.told).toEqual([]);
  bench.pass(30, () => {
    for (let i = 0; i < 99; i++) bench.heard(`T${i}`);
  });
  bench.pass(40);
  expect(bench.told).toEqual(["T99 stale"]);
});

test("where other servers save too, a feed is stale only after a look into the database", () => {
  const bench = new Bench(IN_SESSION, { isShared: true });
  const feed = bench.heard("A");
  bench.pass(119);
  bench.watch.looked(feed);
  bench.pass(600);
  expect(bench.told).toEqual([]);
  bench.watch.looked(feed);
  bench.pass(1);
  expect(bench.told).toEqual(["A stale"]);
});

test("a feed that is silent for a week has ended", () => {
  const bench = new Bench(IN_SESSION);
  bench.heard("A");
  let ended = 0;
  for (let hour = 0; hour < 8 * 24; hour++)
    for (let step = 0; step < 1_800; step++) {
      bench.monotonicMs += 2_000;
      ended += bench.watch.look(bench.book, bench.nowMs, bench.monotonicMs).ended.length;
      if (ended > 0) return;
    }
  expect(ended).toBe(1);
});
