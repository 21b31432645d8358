/** Notes, and what a roll-up may replace and remove, in every storage driver. */
import { expect } from "bun:test";
import { ROLLUP_MARK } from "../../src/market/rollup-mark.ts";
import type { NoteChange, SaveRows } from "../../src/storage/contract.ts";
import type { SeriesRow } from "../../src/storage/model/kinds.ts";
import { rowsOf } from "../support/answered.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";

const STAMPS = ["2024-01-02 10:00:00", "2024-01-02 10:01:00", "2024-01-02 10:02:00"] as const;
const END = String.fromCodePoint(0x10ffff);

function bar(stamp: string, close: number, extra: string | null = ROLLUP_MARK): SeriesRow {
  return [stamp, close, close, close, close, 10, close, 1, extra];
}

function save(rows: SeriesRow[], note?: NoteChange): SaveRows {
  return { kind: "interval", part: "1min", ticker: "A", rows, onDuplicate: "rollup", note };
}

const all = (db: OpenDatabase) => Promise.resolve(db.reader.notes("", END, 100));
const closes = async (db: OpenDatabase) => {
  const range = { kind: "interval", part: "1min", ticker: "A", from: null, to: null } as const;
  return (await rowsOf(db.reader.rows(range))).map(({ close }) => close);
};

withEachDriver({ topic: "notes", needs: "notes" }, ({ withDatabase }) => {
  withDatabase(
    "a note changes with the rows of its save, and a save that relies on another is refused",
    async (db) => {
      const first = save([bar(STAMPS[0], 1)], { name: "n/A", from: null, to: "1" });
      expect(await db.writer.commit([first])).toMatchObject([{ ok: true, stored: 1 }]);
      const [second, stale, third] = await db.writer.commit([
        save([bar(STAMPS[1], 2)], { name: "n/A", from: "1", to: "2" }),
        save([bar(STAMPS[0], 9)], { name: "n/A", from: "1", to: "3" }),
        save([bar(STAMPS[2], 3)], { name: "n/A", from: "2", to: "é\"'" }),
      ]);
      expect(second).toMatchObject({ ok: true, stored: 1 });
      expect(stale).toMatchObject({ ok: false, status: 409, noteMoved: true });
      expect(third).toMatchObject({ ok: true, stored: 1 });
      expect(await closes(db)).toEqual([1, 2, 3]);
      await db.reopen();
      expect(await all(db)).toEqual([["n/A", "é\"'"]]);
    },
  );

  withDatabase("a save without rows changes its note alone", async (db) => {
    const [outcome] = await db.writer.commit([save([], { name: "n", from: null, to: "x" })]);
    expect(outcome).toMatchObject({ ok: true, stored: 0, position: null });
    expect(await all(db)).toEqual([["n", "x"]]);
    expect(await db.reader.updates.positions(null)).toEqual(new Map());
  });

  withDatabase("notes are read by name, in the order of bytes, from one up to another", async (db) => {
    const names = ["b/2", "a", "b/1", "b/é", "c"];
    await db.writer.commit(names.map((name) => save([], { name, from: null, to: name })));
    const read = async (from: string, to: string, limit: number) =>
      (await db.reader.notes(from, to, limit)).map(([name]) => name);
    expect(await read("b/", `b/${END}`, 10)).toEqual(["b/1", "b/2", "b/é"]);
    expect(await read("b/1", "b/1", 10)).toEqual(["b/1"]);
    expect(await read("", END, 2)).toEqual(["a", "b/1"]);
  });

  withDatabase("a roll-up replaces its own bars alone, and what is the same is no update", async (db) => {
    const own = save([bar(STAMPS[0], 1, null)]);
    await db.writer.commit([{ ...own, onDuplicate: "replace" }, save([bar(STAMPS[1], 2)])]);
    const again = save(STAMPS.map((stamp, index) => bar(stamp, index === 1 ? 2 : 7)));
    const [outcome] = await db.writer.commit([again]);
    expect(outcome).toMatchObject({ ok: true, stored: 1, replaced: 0, repeated: 1, skipped: 1 });
    expect(await closes(db)).toEqual([1, 2, 7]);
    const [same] = await db.writer.commit([again]);
    expect(same).toMatchObject({ ok: true, stored: 0, repeated: 2, skipped: 1, position: null });
    const [changed] = await db.writer.commit([save([bar(STAMPS[2], 8)])]);
    expect(changed).toMatchObject({ ok: true, stored: 0, replaced: 1 });
    expect(await closes(db)).toEqual([1, 2, 8]);
  });

  withDatabase(
    "counts that no double holds, fractions and bars without values are the same again",
    async (db) => {
      const rows: SeriesRow[] = [
        [STAMPS[0], 0.1, 0.3, 0.1, 0.2, "9007199254740993", 0.1 + 0.2, 3, ROLLUP_MARK],
        [STAMPS[1], null, null, null, null, null, null, 1, ROLLUP_MARK],
      ];
      expect(await db.writer.commit([save(rows)])).toMatchObject([{ stored: 2 }]);
      expect(await db.writer.commit([save(rows)])).toMatchObject([{ stored: 0, replaced: 0, repeated: 2 }]);
    },
  );

  withDatabase("a removal of what a roll-up made leaves other bars, and relies on its note", async (db) => {
    const others = save([bar(STAMPS[1], 2, '{"x":1}')]);
    await db.writer.commit([
      { ...others, onDuplicate: "replace" },
      save([bar(STAMPS[0], 1), bar(STAMPS[2], 3)]),
    ]);
    const removal = {
      ...({ what: "removal", kind: "interval", ticker: "A", part: "1min", from: null, to: null } as const),
      ...{ ids: null, extra: ROLLUP_MARK, dryRun: false },
    };
    const edit = (note: NoteChange) =>
      db.writer.edit({ ...removal, identity: { saveId: crypto.randomUUID(), repeated: false }, note });
    expect(await edit({ name: "n", from: "1", to: "2" })).toMatchObject({ ok: false, noteMoved: true });
    expect(await closes(db)).toHaveLength(3);
    expect(await edit({ name: "n", from: null, to: "1" })).toMatchObject({ ok: true, rows: 2 });
    expect(await closes(db)).toEqual([2]);
    // It removes nothing more, and its note changes all the same.
    expect(await edit({ name: "n", from: "1", to: "2" })).toMatchObject({
      ok: true,
      rows: 0,
      position: null,
    });
    expect(await all(db)).toEqual([["n", "2"]]);
  });

  withDatabase("the note of a ticker's roll-ups goes with its name, in place of an older one", async (db) => {
    const rename = (ticker: string, newTicker: string, dryRun = false) =>
      db.writer.edit({
        ...({ what: "renaming", ticker, newTicker, dryRun } as const),
        identity: { saveId: crypto.randomUUID(), repeated: false },
      });
    const noted = (ticker: string, to: string) =>
      db.writer.commit([{ ...save([], { name: `rollup/${ticker}`, from: null, to }), ticker }]);
    await db.writer.commit([save([bar(STAMPS[0], 1)])]);
    for (const [ticker, text] of [
      ["A", "of A"],
      ["B", "of a B that is gone"],
      ["AB", "another"],
    ] as const)
      await noted(ticker, text);
    await rename("A", "B", true);
    await rename("none", "AB");
    expect(await all(db)).toEqual([
      ["rollup/A", "of A"],
      ["rollup/AB", "another"],
      ["rollup/B", "of a B that is gone"],
    ]);
    expect(await rename("A", "B")).toMatchObject({ ok: true, rows: 1 });
    expect(await all(db)).toEqual([
      ["rollup/AB", "another"],
      ["rollup/B", "of A"],
    ]);
    // Also where the old name has none: what the new one had tells nothing of these rows.
    await db.writer.commit([{ ...save([bar(STAMPS[0], 1)]), ticker: "é x" }]);
    await noted("C", "of a C that is gone");
    await rename("é x", "C");
    await db.reopen();
    expect(await all(db)).toEqual([
      ["rollup/AB", "another"],
      ["rollup/B", "of A"],
    ]);
  });
});
