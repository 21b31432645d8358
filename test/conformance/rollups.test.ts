/**
 * Roll-ups over every driver that keeps notes: whatever happens to trades, and whenever what makes
 * the bars breaks off, in the end each bar is what its stored trades give, and none is too many.
 */
import { expect } from "bun:test";
import { stampOfMicros } from "../../src/market/stamp-micros.ts";
import type { TickRow } from "../../src/storage/contract.ts";
import { randomNumbers } from "../support/random.ts";
import { becomeRight, rowsOfReader, storedBars } from "../support/rollups.ts";
import { until } from "../support/until.ts";
import { withEachDriver } from "./each-driver.ts";
import { Harness, INTERVALS, MINUTE, randomRound, START, TICKERS } from "./rollup-harness.ts";

const ROUNDS = 120;

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
