/** A file gives back what removed rows have taken, beside everything else. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../../../test/support/temp-dir.ts";
import type { Edit, Save, TickRow } from "../contract.ts";
import { SqliteReader } from "./reader.ts";
import { SqliteWriter } from "./writer.ts";

const ROWS = 1_000_000;
const SAVE_ROWS = 100_000;
const stampOf = (n: number): string =>
  `${new Date(Date.UTC(2024, 0, 2) + n * 10).toISOString().replace("T", " ").slice(0, 23)}000`;

function trades(from: number, count: number): Save {
  const rows = Array.from({ length: count }, (_, n): TickRow => {
    return [stampOf(from + n), n, n, null, null, null, null, null];
  });
  return { kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "append" };
}

function removalTo(n: number): Edit {
  return {
    ...{ what: "removal", kind: "ticks", ticker: "A", part: "trade", from: null, to: stampOf(n), ids: null },
    ...{ isAgeing: true, dryRun: false, identity: { saveId: "", repeated: false } },
  };
}

test("what is removed makes the file shorter, and what is stored stays whole", () => {
  using dir = tempDir();
  const path = join(dir.path, "test.db");
  const writer = new SqliteWriter(path, "normal", null);
  for (let from = 0; from < ROWS; from += SAVE_ROWS) writer.commit([trades(from, SAVE_ROWS)]);
  expect(writer.tidy()).toBe(false);
  // A fifth is no reason.
  writer.edit(removalTo(ROWS / 5 - 1));
  expect(writer.tidy()).toBe(false);
  writer.edit(removalTo(ROWS * 0.9 - 1));
  const full = statSync(path).size;
  let steps = 0;
  for (; writer.tidy(); steps++) if (steps === 20) writer.commit([trades(ROWS, 10)]);
  expect(steps).toBeGreaterThan(50);
  expect(statSync(path).size).toBeLessThan(full / 3);
  expect(writer.tidy()).toBe(false);
  const reader = new SqliteReader(path, 2);
  expect(reader.latestPrice("A")).toBe(9);
  reader.close();
  writer.close();
  using db = new Database(path);
  expect(db.query("SELECT count(*) AS n FROM realtime_data").get()).toEqual({ n: ROWS / 10 + 10 });
  expect(db.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
});

test("a file that was made without it stays as long as it is", () => {
  using dir = tempDir();
  const path = join(dir.path, "test.db");
  {
    using db = new Database(path);
    db.run("CREATE TABLE own (n)");
  }
  const writer = new SqliteWriter(path, "normal", null);
  for (let from = 0; from < 400_000; from += SAVE_ROWS) writer.commit([trades(from, SAVE_ROWS)]);
  writer.edit(removalTo(ROWS));
  expect(writer.tidy()).toBe(false);
  writer.close();
});
