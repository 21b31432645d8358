/**
 * Batches of saves, and what other programs did before them, as every storage driver takes them.
 */
import { expect, test } from "bun:test";
import type { Save, SaveRows } from "../../src/storage/contract.ts";
import type { Row } from "../support/answered.ts";
import { randomNumbers } from "../support/random.ts";
import { at, daily, dateOf, ticks } from "../support/saves.ts";
import { tempDir } from "../support/temp-dir.ts";
import { MANY_DATABASES_TIMEOUT_MS, withEachDriver } from "./each-driver.ts";
import { allBars, allTicks, expectStored } from "./saves.ts";

withEachDriver({ topic: "batches" }, ({ open, testOf, withDatabase }) => {
  testOf("knowsEmpty", "a database is empty until something is stored", (name) =>
    withDatabase(name, async (db) => {
      expect(await db.writer.isEmpty()).toBe(true);
      await db.writer.commit([ticks("A", [[at(1), 1]])]);
      expect(await db.writer.isEmpty()).toBe(false);
    }),
  );

  withDatabase("saves of one ticker in one batch count in their order", async (db) => {
    const saves = [
      daily("A", [["2024-01-02", 1]]),
      daily("A", [["2024-01-02", 2]]),
      daily("A", [["2024-01-02", 3]], "keep"),
      daily("A", [["2024-01-02", 4]], "error"),
      daily("A", [["2024-01-03", 5]], "error"),
      daily("A", [["2024-01-03", 6]], "error"),
      ticks("A", [[at(1), 1]]),
      ticks("A", [[at(1), 1]]),
      ticks("A", [[at(1), 2]]),
      ticks("A", [[at(1), 3]], "replace"),
      ticks("A", [[at(1), 4, 1]], "error"),
      ticks("A", [[at(1), 5, 2]], "error"),
    ];
    await expectStored(db, saves, [1, 1, 0, 409, 1, 409, 1, 0, 1, 1, 409, 1]);
    expect((await allBars(db, "A")).map((row) => row.close)).toEqual([2, 5]);
    expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([3, 2, 5]);
  });

  test(
    "a batch of saves is as if each had been committed alone",
    async () => {
      using dir = tempDir();
      using other = tempDir();
      await using together = await open(dir.path);
      await using alone = await open(other.path);
      for (let seed = 1; seed <= 8; seed++) {
        const tickers = ["A", "B", "C"].map((name) => `${name}${seed}`);
        const random = randomNumbers(seed);
        const pick = (n: number): number => Math.floor(random() * n);
        const saves = Array.from({ length: 60 }, (): Save => {
          const ticker = tickers[pick(3)]!;
          if (pick(2) === 0) {
            const rows = Array.from({ length: 1 + pick(4) }, (): [string, number, number?] =>
              pick(3) === 0 ? [at(pick(3)), pick(3), pick(4)] : [at(pick(3)), pick(3)],
            );
            return ticks(ticker, rows, (["match", "match", "replace", "error"] as const)[pick(4)]!);
          }
          const first = pick(20);
          const dates = Array.from({ length: 1 + pick(5) }, (_, i): [string, number] => [
            dateOf(first + i),
            pick(50),
          ]);
          return daily(ticker, dates, (["replace", "keep", "error"] as const)[pick(3)]!);
        });
        const outcomes = await together.writer.commit(saves);
        const expected = [];
        for (const save of saves) expected.push(...(await alone.writer.commit([save])));
        const ofBoth = [outcomes, expected].map((list) => list.map((outcome) => ({ ...outcome, epoch: "" })));
        expect({ seed, outcomes: ofBoth[0] }).toEqual({ seed, outcomes: ofBoth[1] });
        for (const ticker of tickers) {
          for (const of of [allBars, allTicks] as const) {
            const unwritten = (rows: Row[]): Row[] => rows.map(({ write_timestamp: _, ...row }) => row);
            expect(unwritten(await of(together, ticker))).toEqual(unwritten(await of(alone, ticker)));
          }
        }
      }
    },
    MANY_DATABASES_TIMEOUT_MS,
  );

  withDatabase("a refused save of a batch leaves the others of the batch stored", async (db) => {
    await db.writer.commit([daily("A", [["2024-01-02", 1]])]);
    const outcomes = await db.writer.commit([
      daily("B", [["2024-01-02", 1]]),
      daily("A", [["2024-01-02", 2]], "error"),
      ticks("C", [[at(1), 5]]),
    ]);
    expect(outcomes.map((outcome) => outcome?.ok)).toEqual([true, false, true]);
    expect(await allBars(db, "B")).toHaveLength(1);
    expect(await allTicks(db, "C")).toHaveLength(1);
  });

  testOf("sql", "a rule that users made refuses only the save that breaks it", (name) =>
    withDatabase(name, async (db) => {
      await db.execute("CREATE UNIQUE INDEX one_a_stamp ON realtime_data (ticker, type, timestamp)");
      const outcomes = await db.writer.commit([
        ticks("A", [[at(1), 1]]),
        ticks("A", [
          [at(2), 1],
          [at(1), 2],
        ]),
        daily("A", [["2024-01-02", 1]]),
        ticks("A", [[at(3), 3]]),
      ]);
      expect(outcomes.map((outcome) => outcome?.ok)).toEqual([true, false, true, true]);
      expect(outcomes[1]).toMatchObject({ status: 409 });
      expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([1, 3]);
      expect(await allBars(db, "A")).toHaveLength(1);
    }),
  );

  testOf("sql", "after a statement of another program, saves of keys that are stored meet them", (name) =>
    withDatabase(name, async (db) => {
      const stamp = "2024-01-02 10:00:00";
      const hourly = (ticker: string, close: number, onDuplicate: SaveRows["onDuplicate"]): SaveRows => ({
        kind: "hourly",
        part: null,
        ticker,
        rows: [[stamp, close, close, close, close, 100]],
        onDuplicate,
      });
      const names = ["AAPL", "BRK.B, class of 1996", "AAPL240119C00150000", "Ä€漢"];
      const afterStatement = async (result: number, saves: Save[]) => {
        await db.execute("DELETE FROM daily_prices WHERE ticker = 'nobody'");
        await expectStored(
          db,
          saves,
          saves.map(() => result),
        );
      };
      for (const name of names) {
        // The longer a name, the later it comes: what an engine has learned from those before it
        // must not matter.
        await afterStatement(1, [
          ticks(name, [[at(1), 1]]),
          hourly(name, 1, "replace"),
          daily(name, [["2024-01-02", 1]]),
        ]);
        await afterStatement(0, [
          ticks(name, [[at(1), 1]]),
          hourly(name, 2, "keep"),
          daily(name, [["2024-01-02", 2]], "keep"),
        ]);
        await afterStatement(409, [
          ticks(name, [[at(1), 3]], "error"),
          hourly(name, 3, "error"),
          daily(name, [["2024-01-02", 3]], "error"),
        ]);
        await afterStatement(1, [
          ticks(name, [[at(1), 4]], "replace"),
          hourly(name, 4, "replace"),
          daily(name, [["2024-01-02", 4]], "replace"),
        ]);
      }
      for (const name of names) {
        expect(await allTicks(db, name)).toMatchObject([{ price: 4 }]);
        expect(await allBars(db, name, "hourly")).toMatchObject([{ close: 4 }]);
        expect(await allBars(db, name)).toMatchObject([{ close: 4 }]);
        expect(await db.reader.parts("ticks", name)).toEqual(["trade"]);
      }
      expect((await db.reader.tickers("ticks", null, 10)).toSorted()).toEqual(names.toSorted());
    }),
  );

  testOf("noticesOthers", "changes by others are noticed, the writer's own are not", (name) =>
    withDatabase(name, async (db) => {
      await db.writer.commit([daily("A", [["2024-01-02", 1]])]);
      expect(await db.writer.changedByOthers()).toBe(false);
      await db.execute("DELETE FROM daily_prices");
      expect(await db.writer.changedByOthers()).toBe(true);
      expect(await db.writer.changedByOthers()).toBe(false);
    }),
  );
});
