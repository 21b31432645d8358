/**
 * Checkpoints of a DuckDB file beside a long log of updates: they write what is new, whatever was
 * written before.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Save } from "../../src/storage/contract.ts";
import { type OpenDuckDb, openDuckDb } from "../../src/storage/duckdb/open.ts";
import { openReadOnly } from "../../src/storage/duckdb/read-only-file.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const FRAME_CHARACTERS = 1_000_000;

function bulkTicks(n: number): Save {
  const stamp = new Date(Date.UTC(2024, 0, 2) + n * 1000).toISOString();
  const digits = String(n).padStart(8, "0");
  return {
    kind: "ticks",
    ticker: `T${n % 7}`,
    part: "trade",
    rows: [[`${stamp.slice(0, 10)} ${stamp.slice(11, 19)}.000000`, n, 1, null, null, null, null, null]],
    onDuplicate: "match",
    update: {
      saveId: digits,
      repeated: false,
      frame: `{"n":${n},"text":"${digits.repeat(FRAME_CHARACTERS / 8)}"}`,
    },
  };
}

test("a log of updates that is longer than DuckDB's memory ends no checkpoint, and each leaves what was there as it is", async () => {
  using dir = tempDir();
  const path = join(dir.path, "a.duckdb");
  const failures: Error[] = [];
  const open = (): Promise<OpenDuckDb> =>
    openDuckDb({ path, memoryLimitMb: 128, threads: 2, onFatal: (error) => void failures.push(error) });
  const saves = 240;
  {
    const db = await open();
    for (let n = 0; n < saves; n++)
      expect(await db.writer.commit([bulkTicks(n)])).toMatchObject([{ ok: true, stored: 1 }]);
    expect(failures).toEqual([]);
    await db.close();
  }
  const { session, close } = await openReadOnly(path);
  const [row] = await session.rows(
    "SELECT count(DISTINCT row_group_id), (SELECT count(*) FROM update_log) FROM pragma_storage_info('update_log')",
  );
  close();
  // 16 MB of the write-ahead log make a checkpoint. Joined, they would be one part.
  expect(Number(row![0])).toBeGreaterThan(5);
  expect(Number(row![1])).toBe(saves);

  const db = await open();
  const oldest = await db.reader.updates.after("T1", 0, { updates: 3, characters: 1_000_000_000 });
  expect(oldest.map(({ frame }) => (JSON.parse(frame) as { n: number }).n)).toEqual([1, 8, 15]);
  await db.close();
  expect(failures).toEqual([]);
});
