/**
 * Roll-ups over every driver that keeps notes: whatever happens to trades, and whenever what makes
 * the bars breaks off, in the end each bar is what its stored trades give, and none is too many.
 */
import { expect } from "bun:test";
import { stampOfMicros } from "../../src/market/stamp-micros.ts";
import type { SaveTicks, TickRow } from "../../src/storage/contract.ts";
import { rowColumnNames } from "../../src/storage/model/columns.ts";
import { batchOfRows } from "../support/column-batches.ts";
import { randomNumbers } from "../support/random.ts";
import { becomeRight, rowsOfReader, storedBars } from "../support/rollups.ts";
import { until } from "../support/until.ts";
import { withEachDriver } from "./each-driver.ts";
import { Harness, INTERVALS } from "./rollup-harness.ts";

const TICKERS = ["A", "B", "é x"];
const START = Date.parse("2024-01-02T10:00:00Z") * 1_000;
const MINUTE = 60_000_000;
const ROUNDS = 120;

/** Trades of a ticker, as feeds send them and correct them. */
function randomRound(random: () => number, now: number, { isHeard }: { isHeard: boolean }) {
  const whole = (max: number): number => Math.floor(random() * max);
  const ticker = TICKERS[whole(TICKERS.length)]!;
  const trade = (micros: number, id: string | null = null): TickRow => {
    const size = random() < 0.1 ? null : random() < 0.1 ? whole(100) / 8 : 1 + whole(500);
    const price = random() < 0.05 ? null : 100 + whole(1_000) / 64;
    return [stampOfMicros(micros), price, size, null, null, id, null, null];
  };
  const trades = (rows: TickRow[], more: Partial<SaveTicks> = {}): SaveTicks => ({
    ...({ kind: "ticks", ticker, part: "trade", onDuplicate: "match" } as const),
    rows: rows.sort(([a], [b]) => (a < b ? -1 : 1)),
    ...more,
  });
  const late = (): number => now - whole(90) * MINUTE - whole(MINUTE);
  return async (harness: Harness): Promise<void> => {
    const dice = random();
    if (dice < 0.4) return harness.save(trades([trade(now), trade(now + whole(3_000_000))]), { isHeard });
    if (dice < 0.5) return harness.save(trades([trade(late())]), { isHeard });
    // A correction, of a few ids that come again and again.
    if (dice < 0.6) {
      const n = whole(20);
      return harness.save(trades([trade(START + n * 7 * MINUTE, `id-${n}`)]), { isHeard });
    }
    if (dice < 0.65)
      return harness.save(trades([trade(late()), trade(late()), trade(now)]), { content: false });
    if (dice < 0.7) return harness.save(trades([trade(now)], { part: "quote" }), { isHeard });
    if (dice < 0.8) {
      const rows = Array.from({ length: 50 }, (_, i) => trade(now + i * 1_000_000));
      const batch = batchOfRows("ticks", rows);
      expect([...batch.columns.keys()]).toEqual(rowColumnNames("ticks"));
      return harness.save({ ...trades(rows), columns: batch }, { isHeard });
    }
    const range = { kind: "ticks", ticker, part: random() < 0.5 ? "trade" : null } as const;
    if (dice < 0.9) {
      const from = late();
      const to = from + whole(10) * MINUTE;
      const stamps = { from: stampOfMicros(from), to: stampOfMicros(to) };
      return harness.edit({ what: "removal", ...range, ...stamps, ids: null } as never, { isHeard });
    }
    if (dice < 0.92)
      return harness.edit({ what: "removal", ...range, from: null, to: null, ids: null } as never);
    if (dice < 0.94) {
      // There and back, so that the tickers stay the same.
      await harness.edit({ what: "renaming", ticker, newTicker: "other" } as never, { isHeard });
      return harness.edit({ what: "renaming", ticker: "other", newTicker: ticker } as never, { isHeard });
    }
    // Bars that a roll-up has made come back.
    const bars = { kind: "interval", ticker, part: "1min", from: null, to: null, ids: null } as const;
    return harness.edit({ what: "removal", ...bars } as never, { isHeard });
  };
}

withEachDriver({ topic: "roll-ups", needs: "notes" }, ({ withDatabase }) => {
  for (const [seed, breakRate] of [
    [1, 0.05],
    [3, 0.3],
  ] as const) {
    withDatabase(`random trades, seed ${seed}: in the end every bar is that of its trades`, async (db) => {
      const random = randomNumbers(seed);
      await using harness = new Harness(db, random, breakRate);
      let now = START;
      for (let round = 0; round < ROUNDS; round++) {
        // Sooner or later, and several at once: as after a kill, a reload, or of two servers.
        if (round % 40 === 10) harness.startRoller();
        if (round === 60) await harness.stopAll();
        now += Math.floor(random() * 40_000_000);
        await randomRound(random, now, { isHeard: random() < 0.9 })(harness);
        if (random() < 0.3) await Bun.sleep(random() * 60);
      }
      await harness.stopAll();
      harness.startRoller({ breaks: false });
      await becomeRight(rowsOfReader(db.reader), [...TICKERS, "other"], INTERVALS);
    });
  }

  withDatabase("somebody's own bars stay, in the middle of those of a roll-up", async (db) => {
    await using harness = new Harness(db, Math.random, 0);
    const trades = [0, 1, 2].map(
      (n): TickRow => [stampOfMicros(START + n * MINUTE), 5 + n, 1, null, null, null, null, null],
    );
    const own = [
      stampOfMicros(START + MINUTE).slice(0, 19),
      1,
      2,
      0.5,
      1.5,
      7,
      null,
      null,
      '{"mine":1}',
    ] as const;
    await harness.save({
      kind: "interval",
      ticker: "A",
      part: "1min",
      rows: [[...own]],
      onDuplicate: "replace",
    });
    harness.startRoller({ intervals: ["1min"] });
    await harness.save({ kind: "ticks", ticker: "A", part: "trade", rows: trades, onDuplicate: "match" });
    await until(async () => (await storedBars(db.reader, "A", "1min")).length === 3);
    await harness.edit({
      what: "removal",
      kind: "ticks",
      ticker: "A",
      part: null,
      from: null,
      to: null,
      ids: null,
    } as never);
    await until(async () => (await storedBars(db.reader, "A", "1min")).length === 1);
    const [left] = await storedBars(db.reader, "A", "1min");
    expect(left).toMatchObject({ close: 1.5, volume: 7, extra: { mine: 1 } });
  });

  withDatabase("a long history is made step by step, and goes on where it broke off", async (db) => {
    await using harness = new Harness(db, randomNumbers(7), 0.03);
    const rows = Array.from({ length: 30_000 }, (_, i): TickRow => {
      const price = 100 + (i % 97) / 8;
      return [stampOfMicros(START + i * 1_700_000), price, 1 + (i % 50), null, null, null, null, null];
    });
    for (let at = 0; at < rows.length; at += 10_000) {
      const slice = rows.slice(at, at + 10_000);
      await harness.save(
        { kind: "ticks", ticker: "A", part: "trade", rows: slice, onDuplicate: "append" },
        { content: false },
      );
    }
    harness.startRoller();
    await until(async () => (await storedBars(db.reader, "A", "1hour")).length > 2);
    await harness.stopAll();
    harness.startRoller();
    // A trade of now doesn't wait for the history.
    await harness.save({
      kind: "ticks",
      ticker: "A",
      part: "trade",
      rows: [[stampOfMicros(START + 40_000 * MINUTE), 7, 1, null, null, null, null, null]],
      onDuplicate: "match",
    });
    await becomeRight(rowsOfReader(db.reader), ["A"], INTERVALS);
    await until(
      async () => JSON.parse((await db.reader.notes("rollup/A", "rollup/A", 1))[0]![1]).todo.length === 0,
    );
  });
});
