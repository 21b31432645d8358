/** Ticks of every storage driver: which are stored, and under which sequence number. */
import { expect } from "bun:test";
import type { SaveTicks } from "../../src/storage/contract.ts";
import { randomNumbers } from "../support/random.ts";
import { at, ticks } from "../support/saves.ts";
import { withEachDriver } from "./each-driver.ts";
import { allTicks, expectStored } from "./saves.ts";

withEachDriver({ topic: "tick saves" }, ({ testOf, withDatabase }) => {
  withDatabase(
    "equal ticks of one save are all kept, and the same save again changes nothing",
    async (db) => {
      const save = ticks("A", [
        [at(1), 5],
        [at(1), 5],
        [at(1), 6],
        [at(2), 7],
      ]);
      await expectStored(db, [save], [4]);
      await expectStored(db, [save], [0]);
      expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([5, 5, 6, 7]);
    },
  );

  withDatabase(
    "a later tick whose key is taken by other values takes the next free seq, once",
    async (db) => {
      await db.writer.commit([ticks("A", [[at(1), 5]])]);
      const later = ticks("A", [[at(1), 6]]);
      await expectStored(db, [later], [1]);
      await expectStored(db, [later], [0]);
      expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([5, 6]);
    },
  );

  for (const seqs of [
    [undefined, undefined],
    [0, 1],
    [1, undefined],
  ] as const) {
    withDatabase(
      `equal ticks of one save that meet a stored tick of other values are all kept (seq ${seqs.join(", ")})`,
      async (db) => {
        await db.writer.commit([ticks("A", [[at(1), 1]])]);
        const save = ticks(
          "A",
          seqs.map((seq): [string, number, number?] => (seq === undefined ? [at(1), 5] : [at(1), 5, seq])),
        );
        await expectStored(db, [save], [2]);
        await expectStored(db, [save], [0]);
        expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([1, 5, 5]);
      },
    );
  }

  withDatabase("one key twice in a save with the same values is one tick", async (db) => {
    const save = ticks("A", [
      [at(1), 5, 0],
      [at(1), 5, 0],
    ]);
    await expectStored(db, [save], [1]);
    expect(await allTicks(db, "A")).toHaveLength(1);
  });

  withDatabase("any save of ticks can be repeated without changing anything", async (db) => {
    for (let seed = 1; seed <= 40; seed++) {
      const ticker = `A${seed}`;
      const random = randomNumbers(seed);
      const pick = (n: number): number => Math.floor(random() * n);
      const saves = Array.from({ length: 6 }, () =>
        ticks(
          ticker,
          Array.from({ length: 1 + pick(6) }, (): [string, number, number?] =>
            pick(3) === 0 ? [at(pick(2)), pick(3), pick(4)] : [at(pick(2)), pick(3)],
          ),
        ),
      );
      for (const save of saves) {
        await db.writer.commit([save]);
        const before = await allTicks(db, ticker);
        await expectStored(db, [save], [0]);
        expect({ seed, rows: await allTicks(db, ticker) }).toEqual({ seed, rows: before });
      }
    }
  });

  withDatabase("a tick with its own seq, replace, and error", async (db) => {
    await db.writer.commit([
      ticks("A", [
        [at(1), 5, 3],
        [at(1), 4, 0],
      ]),
    ]);
    await db.writer.commit([ticks("A", [[at(1), 9, 3]], "replace")]);
    expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([4, 9]);
    const [refused] = await db.writer.commit([
      ticks(
        "A",
        [
          [at(1), 1, 3],
          [at(2), 1],
        ],
        "error",
      ),
    ]);
    expect(refused).toMatchObject({ ok: false, status: 409, details: `${at(1)} seq 3` });
    expect(await allTicks(db, "A")).toHaveLength(2);
  });

  withDatabase("one late tick into a range of stored ticks deletes none of them", async (db) => {
    await db.writer.commit([
      ticks("A", [
        [at(1), 1],
        [at(3), 3],
      ]),
    ]);
    await db.writer.commit([ticks("A", [[at(2), 2]])]);
    expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([1, 2, 3]);
  });

  withDatabase("integers of 64 bits are compared as what they are", async (db) => {
    const save: SaveTicks = {
      ...ticks("A", []),
      rows: [[at(1), 1, "9007199254740993", null, null, null, null, null]],
    };
    await expectStored(db, [save], [1]);
    await expectStored(db, [save], [0]);
  });

  testOf("fractionalCounts", "a size with a fraction is stored as it is", (name) =>
    withDatabase(name, async (db) => {
      const save: SaveTicks = { ...ticks("A", []), rows: [[at(1), 1, 0.25, null, null, null, null, null]] };
      await expectStored(db, [save], [1]);
      await expectStored(db, [save], [0]);
      expect((await allTicks(db, "A"))[0]!.size).toBe(0.25);
    }),
  );
});
