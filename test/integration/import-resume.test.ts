/** An import that was interrupted goes on where it was, and stores every row once. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ImportFolder } from "../support/importing.ts";

/** Trades of two tickers in turn; every third shares stamp and values with the one before. */
const ROWS = 6_000;
const TRADES = `symbol,timestamp,price,size\n${Array.from({ length: ROWS }, (_, i) => {
  const stamp = String(i - (i % 3 === 2 ? 2 : 0)).padStart(6, "0");
  return `${i % 2 === 0 ? "AA" : "BB"},2024-01-02T15:00:00.${stamp}Z,${i % 3 === 2 ? 1 : i},1\n`;
}).join("")}`;
const ONE = TRADES.replaceAll("BB,", "AA,");

/** Interrupts after some progress; returns how many rows were stored. */
async function interrupt(folder: ImportFolder, args: string[], after: number): Promise<number> {
  const stop = new AbortController();
  const { result } = await folder.import(args, {
    signal: stop.signal,
    progress: {
      update({ rows }) {
        if (rows >= after) stop.abort();
      },
      end() {},
    },
  });
  expect(result.stoppedBy).toBe("interrupted");
  return result.rows;
}

function notes(folder: ImportFolder): string[] {
  const path = join(folder.path, "state", "stock-db-server", "imports");
  return existsSync(path) ? readdirSync(path) : [];
}

const count = (folder: ImportFolder): unknown => folder.query("SELECT count(*) FROM realtime_data")[0]![0];

test("rows that are stored are read again, and not sent again", async () => {
  using folder = new ImportFolder();
  const args = [folder.write("t.csv", ONE), "--batch", "50"];
  const before = await interrupt(folder, args, 1_000);
  expect(before).toBeGreaterThanOrEqual(1_000);
  expect(before).toBeLessThan(ROWS);
  expect(notes(folder)).toHaveLength(1);
  let resumed = 0;
  const { result } = await folder.import(args, {
    onResume: (rows) => {
      resumed = rows;
    },
  });
  expect(resumed).toBe(before);
  expect(result).toMatchObject({
    stoppedBy: null,
    rowsBefore: before,
    rows: ROWS - before,
    stored: ROWS - before,
  });
  expect(count(folder)).toBe(ROWS);
  expect(notes(folder)).toEqual([]);
});

test("several tickers: what was sent after the last note is sent again, and is there once", async () => {
  using folder = new ImportFolder();
  const args = [folder.write("t.csv", TRADES), "--batch", "50"];
  await interrupt(folder, args, 1_000);
  const { result } = await folder.import(args);
  expect(result.stoppedBy).toBeNull();
  expect(count(folder)).toBe(ROWS);
});

test("a file that has changed, another database, and --restart begin at the beginning", async () => {
  using folder = new ImportFolder();
  const args = [folder.write("t.csv", ONE), "--batch", "50"];
  await interrupt(folder, args, 1_000);
  const restarted = await folder.import([...args, "--restart"]);
  expect(restarted.result).toMatchObject({ stoppedBy: null, rowsBefore: 0, rows: ROWS });

  using other = new ImportFolder();
  const again = [other.write("t.csv", ONE), "--batch", "50"];
  await interrupt(other, again, 1_000);
  other.removeDatabase();
  const anew = await other.import(again);
  expect(anew.result).toMatchObject({ stoppedBy: null, rowsBefore: 0, rows: ROWS });
  expect(count(other)).toBe(ROWS);

  using third = new ImportFolder();
  const path = third.write("t.csv", ONE);
  await interrupt(third, [path, "--batch", "50"], 1_000);
  third.write("t.csv", `${ONE}AA,2024-01-02T16:00:00Z,1,1\n`);
  expect((await third.import([path, "--batch", "50"])).result).toMatchObject({
    stoppedBy: null,
    rowsBefore: 0,
  });
  expect(count(third)).toBe(ROWS + 1);
});
