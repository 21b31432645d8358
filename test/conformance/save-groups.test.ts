/** Saves that are stored together or not at all, on every driver. */
import { expect, test } from "bun:test";
import type { Save, SaveOutcome } from "../../src/storage/contract.ts";
import { randomNumbers } from "../support/random.ts";
import { at, daily, dateOf, logged, ticks } from "../support/saves.ts";
import { tempDir } from "../support/temp-dir.ts";
import type { OpenDatabase } from "./drivers.ts";
import { MANY_DATABASES_TIMEOUT_MS, withEachDriver } from "./each-driver.ts";
import { allBars, allTicks } from "./saves.ts";

/** As the hub does: what is left for the next transaction goes first there. */
async function commitAll(db: OpenDatabase, saves: Save[]): Promise<SaveOutcome[]> {
  const outcomes: (SaveOutcome | null)[] = saves.map(() => null);
  for (;;) {
    const left = saves.flatMap((_, index) => (outcomes[index] === null ? [index] : []));
    if (left.length === 0) return outcomes as SaveOutcome[];
    const committed = await db.writer.commit(left.map((index) => saves[index]!));
    expect(committed.some((outcome) => outcome !== null)).toBe(true);
    for (const [place, index] of left.entries()) outcomes[index] = committed[place]!;
  }
}

const together = (name: string, saves: Save[]): Save[] => saves.map((save) => ({ ...save, together: name }));
const statusOf = (outcome: SaveOutcome) => (outcome.ok ? 200 : outcome.status);

withEachDriver({ topic: "groups of saves", needs: "saveGroups" }, ({ open, testOf, withDatabase }) => {
  withDatabase("all of a group are stored, each with its own counts and position", async (db) => {
    const saves = together("g", [
      daily("A", [["2024-01-02", 1]], "replace", logged("1", "{}")),
      ticks("B", [[at(1), 1]], "match", logged("2", "{}")),
      ticks("B", [[at(1), 1]], "match", logged("3", "{}")),
    ]);
    const outcomes = await commitAll(db, saves);
    expect(outcomes).toMatchObject([
      { ok: true, stored: 1, position: 1 },
      { ok: true, stored: 1, position: 1 },
      { ok: true, stored: 0, repeated: 1, position: null },
    ]);
  });

  withDatabase("a refused one leaves nothing of its group, and all of the others", async (db) => {
    await db.writer.commit([daily("A", [["2024-01-02", 1]])]);
    const outcomes = await commitAll(db, [
      ticks("before", [[at(1), 1]]),
      ...together("broken", [
        daily("B", [["2024-01-02", 2]]),
        ticks("C", [[at(1), 3]]),
        daily("A", [["2024-01-02", 4]], "error"),
        ticks("D", [[at(1), 5]]),
      ]),
      ...together("whole", [daily("E", [["2024-01-02", 6]]), ticks("E", [[at(1), 7]])]),
      ticks("after", [[at(1), 8]]),
    ]);
    expect(outcomes.map(statusOf)).toEqual([200, 409, 409, 409, 409, 200, 200, 200]);
    expect((await allBars(db, "A")).map(({ close }) => close)).toEqual([1]);
    for (const ticker of ["B", "C", "D"]) {
      expect(await allBars(db, ticker)).toEqual([]);
      expect(await allTicks(db, ticker)).toEqual([]);
    }
    expect([...(await db.reader.updates.positions(["B", "C", "D"]))]).toEqual([]);
    expect(await allBars(db, "E")).toHaveLength(1);
    for (const ticker of ["before", "E", "after"]) expect(await allTicks(db, ticker)).toHaveLength(1);
  });

  withDatabase("what a refused group would have stored is new for those after it", async (db) => {
    await db.writer.commit([ticks("A", [[at(5), 1, 0]])]);
    const refused = together("x", [
      ticks("B", [
        [at(1), 1],
        [at(2), 2],
      ]),
      daily("B", [["2024-01-02", 1]]),
      ticks("A", [[at(5), 9, 0]], "error"),
    ]);
    expect((await commitAll(db, refused)).map(statusOf)).toEqual([409, 409, 409]);
    const again = await commitAll(db, [ticks("B", [[at(2), 2]]), daily("B", [["2024-01-02", 7]], "keep")]);
    expect(again).toMatchObject([
      { ok: true, stored: 1, position: 1 },
      { ok: true, stored: 1, position: 2 },
    ]);
    expect((await allTicks(db, "B")).map(({ price }) => price)).toEqual([2]);
    expect((await allBars(db, "B")).map(({ close, ma10 }) => [close, ma10 ?? null])).toEqual([[7, null]]);
  });

  withDatabase("an identity that was used for another save refuses the whole group", async (db) => {
    const identified = (ticker: string, second: number, print: string): Save =>
      ticks(ticker, [[at(second), 1]], "request", {
        ...logged(`${ticker}-${second}-${print}`, "{}"),
        request: { key: `key of ${ticker}`, print, text: "k" },
      });
    const [first, ...others] = [
      [identified("A", 1, "one"), identified("B", 1, "one")],
      [identified("A", 2, "two"), identified("C", 2, "two")],
      [identified("A", 1, "one"), identified("D", 1, "one")],
    ].map((saves, index) => together(`${index}`, saves));
    const expected = [
      [200, 200],
      [409, 409],
      [200, 200],
    ];
    // In one batch with the first, and once the log has it.
    expect((await commitAll(db, [...first!, ...others.flat()])).map(statusOf)).toEqual(expected.flat());
    for (const [index, group] of others.entries())
      expect((await commitAll(db, group)).map(statusOf)).toEqual(expected[index + 1]!);
    expect((await allTicks(db, "A")).map(({ timestamp }) => timestamp)).toHaveLength(1);
    expect(await allTicks(db, "C")).toEqual([]);
    for (const ticker of ["B", "D"]) expect(await allTicks(db, ticker)).toHaveLength(1);
  });

  testOf("sql", "a rule that users made refuses the whole group of the save that breaks it", (name) =>
    withDatabase(name, async (db) => {
      await db.execute("CREATE UNIQUE INDEX one_a_stamp ON realtime_data (ticker, type, timestamp)");
      const outcomes = await commitAll(db, [
        ticks("A", [[at(1), 1]]),
        ...together("x", [
          daily("B", [["2024-01-02", 1]]),
          ticks("B", [
            [at(2), 1],
            [at(2), 2],
          ]),
          ticks("C", [[at(1), 1]]),
        ]),
        ...together("y", [ticks("A", [[at(3), 3]]), ticks("C", [[at(2), 2]])]),
      ]);
      expect(outcomes.map(statusOf)).toEqual([200, 409, 409, 409, 200, 200]);
      expect(await allBars(db, "B")).toEqual([]);
      expect(await allTicks(db, "B")).toEqual([]);
      expect((await allTicks(db, "C")).map(({ price }) => price)).toEqual([2]);
      expect((await allTicks(db, "A")).map(({ price }) => price)).toEqual([1, 3]);
    }),
  );

  test(
    "a batch of random groups is as if each group had been committed alone, if all of it can be",
    async () => {
      using dir = tempDir();
      using other = tempDir();
      await using inBatches = await open(dir.path);
      await using alone = await open(other.path);
      for (let seed = 1; seed <= 6; seed++) {
        const random = randomNumbers(seed);
        const pick = (n: number): number => Math.floor(random() * n);
        const tickers = ["A", "B", "C", "D"].map((name) => `${name}${seed}`);
        const groups = Array.from({ length: 12 }, (_, group): Save[] => {
          const saves = Array.from({ length: 1 + pick(4) }, (): Save => {
            const ticker = tickers[pick(4)]!;
            const rule = (["keep", "keep", "error"] as const)[pick(3)]!;
            return pick(2) === 0
              ? ticks(ticker, [[at(pick(12)), pick(3), pick(2)]], rule)
              : daily(ticker, [[dateOf(pick(15)), pick(50)]], rule);
          });
          return saves.length === 1 ? saves : together(`${seed} ${group}`, saves);
        });
        const statuses = (await commitAll(inBatches, groups.flat())).map(statusOf);
        const expected: number[] = [];
        for (const group of groups) expected.push(...(await commitAll(alone, group)).map(statusOf));
        expect({ seed, statuses }).toEqual({ seed, statuses: expected });
        for (const ticker of tickers)
          for (const of of [allBars, allTicks] as const) {
            const [of1, of2] = await Promise.all([inBatches, alone].map((db) => of(db, ticker)));
            const unwritten = (rows: typeof of1) => rows!.map(({ write_timestamp: _, ...row }) => row);
            expect({ seed, rows: unwritten(of1) }).toEqual({ seed, rows: unwritten(of2) });
          }
      }
    },
    MANY_DATABASES_TIMEOUT_MS,
  );
});
