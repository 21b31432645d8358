import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { tempDir } from "../../../test/support/temp-dir.ts";
import type { TickRow } from "../contract.ts";
import { SqliteWriter } from "./writer.ts";

test("thousands of ticks that share their stamp with thousands of stored ones are saved without a walk for each", () => {
  using dir = tempDir();
  const path = join(dir.path, "test.db");
  const writer = new SqliteWriter(path, "normal", null);
  const save = (prices: number[]) => {
    const rows = prices.map(
      (price): TickRow => ["2024-01-02 00:00:00.000000", price, 1, null, null, null, null, null],
    );
    return writer.commit([{ kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "match" }]);
  };
  const upTo = (count: number, from: number) => Array.from({ length: count }, (_, i) => from + i);
  expect(save(upTo(30_000, 0))).toMatchObject([{ ok: true, stored: 30_000 }]);
  expect(save(upTo(10_000, 100_000))).toMatchObject([{ ok: true, stored: 10_000 }]);
  // Both again, and one that is there already among new ones.
  expect(save(upTo(30_000, 0))).toMatchObject([{ ok: true, stored: 0 }]);
  expect(save(upTo(10_000, 100_000))).toMatchObject([{ ok: true, stored: 0 }]);
  expect(save([500_000, 100_005, 500_001])).toMatchObject([{ ok: true, stored: 2 }]);
  writer.close();
  using db = new Database(path, { readonly: true });
  expect(db.query("SELECT count(*) AS rows, max(seq) AS last FROM realtime_data").get()).toEqual({
    rows: 40_002,
    last: 40_001,
  });
});

test("thousands of ticks of one stamp get their corrections without a walk for each", () => {
  using dir = tempDir();
  const writer = new SqliteWriter(join(dir.path, "test.db"), "normal", null);
  const save = (rows: [price: number, id: string | null, extra: string | null][]) =>
    writer.commit([
      {
        kind: "ticks",
        ticker: "A",
        part: "trade",
        rows: rows.map(
          ([price, id, extra]): TickRow => [
            "2024-01-02 00:00:00.000000",
            price,
            1,
            null,
            null,
            id,
            extra,
            null,
          ],
        ),
        onDuplicate: "match",
      },
    ])[0];
  const each = <T>(make: (i: number) => T): T[] => Array.from({ length: 20_000 }, (_, i) => make(i));
  expect(save(each((i) => [i, `${i}`, null]))).toMatchObject({ stored: 20_000 });
  expect(save(each((i) => [i + 1, `${i}`, null]))).toMatchObject({ stored: 0, replaced: 20_000 });
  // Equal in all but the other columns.
  expect(save(each((i) => [-1, null, `{"n":${i}}`]))).toMatchObject({ stored: 20_000 });
  expect(save(each((i) => [-1, null, `{"n":${20_000 - i}}`]))).toMatchObject({ stored: 1, repeated: 19_999 });
  expect(save(each((i) => [-1, `e${i}`, null]))).toMatchObject({ stored: 0, replaced: 20_000 });
  writer.close();
});
