/** Bars of every storage driver: which are stored, and their moving averages. */
import { expect } from "bun:test";
import { AVERAGE_COLUMNS, continueAverages, startState } from "../../src/market/moving-averages.ts";
import { randomNumbers } from "../support/random.ts";
import { daily, dateOf } from "../support/saves.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";
import { allBars, expectStored } from "./saves.ts";

withEachDriver({ topic: "bar saves" }, ({ testOf, withDatabase }) => {
  withDatabase("a saved bar is read back, stamps in wire form", async (db) => {
    await expectStored(db, [daily("A", [["2024-01-02", 100.5]])], [1]);
    const [row] = await allBars(db, "A");
    expect(row).toMatchObject({
      date: "2024-01-02T00:00:00.000000Z",
      ticker: "A",
      close: 100.5,
      volume: 100,
      ma_10: null,
    });
  });

  withDatabase("a save touches no row that it does not carry", async (db) => {
    await db.writer.commit([
      daily("A", [
        ["2024-01-02", 1],
        ["2024-01-03", 2],
        ["2024-01-04", 3],
      ]),
    ]);
    await db.writer.commit([
      daily("A", [
        ["2024-01-02", 9],
        ["2024-01-04", 8],
      ]),
    ]);
    expect((await allBars(db, "A")).map((row) => row.close)).toEqual([9, 2, 8]);
  });

  withDatabase("averages of tiny prices keep their digits", async (db) => {
    const closes = Array.from({ length: 12 }, (_, day): [string, number] => [
      dateOf(day),
      (101 + day) / 10_000_000,
    ]);
    await expectStored(db, [daily("PEPE", closes)], [12]);
    const bars = await allBars(db, "PEPE");
    expect(bars.slice(9).map((row) => row.ma_10)).toEqual([0.00001055, 0.00001065, 0.00001075]);
    expect(bars[7]!.ema_8).toBe(0.00001045);
    expect(bars[8]!.ema_8).toBe(0.00001055);
  });

  withDatabase("bars: replace, keep and error", async (db) => {
    await db.writer.commit([daily("A", [["2024-01-02", 1]])]);
    const more = daily(
      "A",
      [
        ["2024-01-02", 2],
        ["2024-01-03", 3],
      ],
      "keep",
    );
    await expectStored(db, [more], [1]);
    expect((await allBars(db, "A")).map((row) => row.close)).toEqual([1, 3]);
    const [refused] = await db.writer.commit([
      daily(
        "A",
        [
          ["2024-01-03", 7],
          ["2024-01-04", 7],
        ],
        "error",
      ),
    ]);
    expect(refused).toMatchObject({ ok: false, status: 409, details: "2024-01-03" });
    expect((await allBars(db, "A")).map((row) => row.close)).toEqual([1, 3]);
  });

  withDatabase(
    "saves of one ticker in one transaction leave what they would leave one after the other",
    async (db) => {
      await db.writer.commit([
        daily("A", [
          ["2024-01-02", 1],
          ["2024-01-03", 2],
        ]),
      ]);
      const saves = [
        daily("A", [
          ["2024-01-03", 3],
          ["2024-01-04", 4],
        ]),
        daily("B", [["2024-01-04", 9]]),
        daily(
          "A",
          [
            ["2024-01-04", 5],
            ["2024-01-05", 6],
          ],
          "keep",
        ),
        daily("A", [["2024-01-05", 7]], "error"),
        daily("A", [["2024-01-01", 8]], "error"),
        daily("A", [["2024-01-02", 0]]),
      ];
      await expectStored(db, saves, [2, 1, 1, 409, 1, 1]);
      expect((await allBars(db, "A")).map((row) => row.close)).toEqual([8, 0, 3, 4, 6]);
      expect((await allBars(db, "B")).map((row) => row.close)).toEqual([9]);
    },
  );

  // Whatever the order and the pieces in which a series was saved, what is read equals one
  // computation over all of it.
  for (const seed of [1, 2, 3]) {
    withDatabase(`moving averages are those of the whole series (seed ${seed})`, async (db) => {
      const random = randomNumbers(seed);
      const series = new Map<string, number | null>();
      const length = 150 + Math.floor(random() * 600);
      for (let step = 0; step < 25; step++) {
        const first = Math.floor(random() * length);
        const count = random() < 0.5 ? 1 + Math.floor(random() * 4) : Math.floor(random() * 300);
        const gap = 1 + Math.floor(random() * 3);
        const piece: [string, number | null][] = [];
        for (let i = 0; i < count; i++) {
          const close = random() < 0.05 ? null : Math.round((50 + random() * 100) * 100) / 100;
          piece.push([dateOf(first + i * gap), close]);
        }
        if (piece.length === 0) continue;
        const keep = random() < 0.2;
        for (const [date, close] of piece) if (!keep || !series.has(date)) series.set(date, close);
        await db.writer.commit([daily("A", piece, keep ? "keep" : "replace")]);
        if (step % 5 === 4) await expectAverages(db, series);
      }
      await expectAverages(db, series);
    });
  }

  testOf(
    "sql",
    "one more day after many doesn't recompute them: only what is near the end is read and written",
    (name) =>
      withDatabase(name, async (db) => {
        const days = 5_000;
        await db.writer.commit([
          daily(
            "A",
            Array.from({ length: days }, (_, day) => [dateOf(day), 50 + (day % 90)]),
          ),
        ]);
        // A mark that a recomputation would wipe out, long before the last checkpoint.
        await db.execute(`UPDATE daily_prices SET ma_10 = -1 WHERE date = '${dateOf(1_000)}'`);
        await db.writer.commit([daily("A", [[dateOf(days), 60]])]);
        const rows = await allBars(db, "A");
        expect(rows[1_000]!.ma_10).toBe(-1);
        expect(rows).toHaveLength(days + 1);
        expect(rows.at(-1)!.ma_200).not.toBeNull();
        // A correction before the mark does recompute what follows it.
        await db.writer.commit([daily("A", [[dateOf(900), 51]])]);
        expect((await allBars(db, "A"))[1_000]!.ma_10).not.toBe(-1);
      }),
  );

  testOf("sql", "after another program changed a close, the next save puts every average right", (name) =>
    withDatabase(name, async (db) => {
      const series = new Map<string, number | null>();
      for (let day = 0; day < 700; day++) series.set(dateOf(day), 50 + ((day * 37) % 100) / 4);
      await db.writer.commit([daily("A", [...series])]);
      await db.execute(`UPDATE daily_prices SET close = 999 WHERE ticker = 'A' AND date = '${dateOf(100)}'`);
      await db.execute(`DELETE FROM daily_prices WHERE ticker = 'A' AND date = '${dateOf(300)}'`);
      series.set(dateOf(100), 999);
      series.delete(dateOf(300));
      series.set(dateOf(700), 60);
      await db.writer.commit([daily("A", [[dateOf(700), 60]])]);
      await expectAverages(db, series);
    }),
  );
});

async function expectAverages(db: OpenDatabase, series: Map<string, number | null>): Promise<void> {
  const dates = [...series.keys()].sort();
  const closes = dates.map((date) => series.get(date) ?? null);
  const expected = continueAverages(startState(), [], closes).rows;
  const rows = await allBars(db, "A");
  expect(rows.map((row) => row.close)).toEqual(closes);
  expect(rows.map((row) => AVERAGE_COLUMNS.map((name) => row[name]))).toEqual(expected);
}
