/** What a save of bars does to stored ones, counted, in every storage driver. */
import { expect } from "bun:test";
import type { SaveRows } from "../../src/storage/contract.ts";
import type { SeriesRow } from "../../src/storage/model/kinds.ts";
import { rowsOf } from "../support/answered.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";

const SERIES = {
  daily: { kind: "daily", part: null, stamps: ["2024-01-02", "2024-01-03", "2024-01-04"] },
  hourly: {
    kind: "hourly",
    part: null,
    stamps: ["2024-01-02 10:00:00", "2024-01-02 11:00:00", "2024-01-02 12:00:00"],
  },
  "5min": {
    kind: "interval",
    part: "5min",
    stamps: ["2024-01-02 10:00:00", "2024-01-02 10:05:00", "2024-01-02 10:10:00"],
  },
} as const;

withEachDriver({ topic: "bar merges" }, ({ withDatabase }) => {
  for (const [label, { kind, part, stamps }] of Object.entries(SERIES)) {
    const ofKind = (values: SeriesRow): SeriesRow =>
      part === null ? values : ([...values.slice(0, 6), null, null, ...values.slice(6)] as SeriesRow);
    const extraAt = part === null ? 6 : 8;
    const save = (rows: SeriesRow[], more: Partial<SaveRows> = {}): SaveRows => ({
      kind,
      part,
      ticker: "A",
      rows: rows.map(ofKind),
      onDuplicate: "replace",
      ...more,
    });
    const stored = async (db: OpenDatabase) =>
      (await rowsOf(db.reader.rows({ kind, part, ticker: "A", from: null, to: null, withExtra: true }))).map(
        ({ open, close, volume, extra }) => [open, close, volume, extra],
      );

    withDatabase(`${label} bars: what a save did is counted`, async (db) => {
      const both = save([
        [stamps[0], 1, 1, 1, 1, 10, null],
        [stamps[1], 2, 2, 2, 2, 20, null],
      ]);
      expect(await db.writer.commit([both])).toMatchObject([{ ok: true, stored: 2 }]);
      const [more] = await db.writer.commit([
        save([
          [stamps[1], 3, 3, 3, 3, 30, null],
          [stamps[2], 4, 4, 4, 4, 40, null],
        ]),
      ]);
      expect(more).toMatchObject({ ok: true, stored: 1, replaced: 1, position: 2 });
      const [kept] = await db.writer.commit([{ ...both, onDuplicate: "keep" }]);
      expect(kept).toMatchObject({ ok: true, stored: 0, skipped: 2, position: null });
      expect((await stored(db)).map(([, close]) => close)).toEqual([1, 3, 4]);
    });

    withDatabase(`${label} bars: a merge keeps what it doesn't bring`, async (db) => {
      await db.writer.commit([save([[stamps[0], 1, 2, 0.5, 1.5, 10, '{"x":1}']])]);
      const close = save(
        [
          [stamps[0], null, null, null, 1.75, null, null],
          [stamps[1], null, null, null, 9, null, null],
        ],
        {
          onDuplicate: "merge",
          missing: [
            [1, 2, 3, 5, extraAt],
            [1, 2, 3, 5, extraAt],
          ],
        },
      );
      const volume = save([[stamps[1], null, null, null, null, "9007199254740993", '{"y":2}']], {
        onDuplicate: "merge",
        missing: [[1, 2, 3, 4]],
      });
      // The second goes on from what the first of the batch leaves.
      expect(await db.writer.commit([close, volume])).toMatchObject([
        { ok: true, stored: 1, replaced: 1 },
        { ok: true, stored: 0, replaced: 1 },
      ]);
      expect(await stored(db)).toEqual([
        [1, 1.75, 10, { x: 1 }],
        [null, 9, Number("9007199254740993"), { y: 2 }],
      ]);
    });
  }
});
