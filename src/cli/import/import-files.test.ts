import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteWriter } from "../../storage/sqlite/writer.ts";
import { silentProgress } from "../progress.ts";
import { type ImportRequest, type ImportResult, importFiles } from "./import-files.ts";
import { NO_CHOICES } from "./layout.ts";
import { fileTarget } from "./target.ts";

const SAMPLE = join(import.meta.dir, "../../../sample");

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "stock-db-import-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(dir, name), text);
  return join(dir, name);
}

async function importInto(files: string[], options: Partial<ImportRequest> = {}): Promise<ImportResult> {
  const writer = new SqliteWriter(join(dir, "test.db"), "normal", 64);
  const target = fileTarget("test.db", { writer, close: () => writer.close() });
  try {
    return await importFiles({
      ...NO_CHOICES,
      files,
      skipLines: 0,
      separator: null,
      tickerFrom: null,
      onDuplicate: null,
      planOnly: false,
      restart: true,
      ticker: "T",
      kind: null,
      target,
      batchRows: 1_000,
      skipBad: false,
      progress: silentProgress,
      ...options,
    });
  } finally {
    target.close();
  }
}

function query(sql: string): unknown[][] {
  using db = new Database(join(dir, "test.db"), { readonly: true });
  return db.query(sql).values();
}

test("real trades imported twice, cut differently, are there once each", async () => {
  const files = [join(SAMPLE, "ibm-trades.csv.gz")];
  for (const batchRows of [1_000, 7]) {
    expect(await importInto(files, { batchRows })).toMatchObject({
      kind: "trade",
      rowsStored: 5_000,
      rowsSkipped: 0,
      stoppedBy: null,
    });
    expect(query("SELECT count(*), count(DISTINCT timestamp) < 5000 FROM realtime_data")).toEqual([
      [5_000, 1],
    ]);
  }
});

test("rows that share a timestamp across files are all kept", async () => {
  const row = "2024-01-02T10:00:00Z,1,2\n";
  const first = await write("a.csv", `timestamp,price,size\n${row}${row}`);
  const second = await write("b.csv", `timestamp,price,size\n${row}`);
  expect((await importInto([first, second])).rowsStored).toBe(3);
  expect(query("SELECT seq FROM realtime_data ORDER BY seq")).toEqual([[0], [1], [2]]);
});

test("a bad row stops with file, line and reason, after the rows before it are stored", async () => {
  const file = await write(
    "bad.csv",
    "date,close,open,high,low\n2024-01-02,4,1,2,3\n\n2024-01-03,4,x,2,3\n2024-01-04,4,1,2,3\n",
  );
  const result = await importInto([file]);
  expect(result.stoppedBy).toStartWith(`${file}:4: `);
  expect(result.stoppedBy).toContain('"x"');
  expect(result.rowsStored).toBe(1);
  expect(query("SELECT date FROM daily_prices")).toEqual([["2024-01-02"]]);
});

test("bad rows that are left out are counted, don't count in seq, and the first few are named", async () => {
  const good = "2024-01-02T10:00:00Z,1,2\n";
  const bad = "2024-01-02T10:00:00Z,one,2\n";
  const file = await write("bad.csv", `timestamp,price,size\n${good}${bad.repeat(8)}${good}`);
  const result = await importInto([file], { skipBad: true });
  expect(result).toMatchObject({ rowsStored: 2, rowsSkipped: 8, stoppedBy: null });
  expect(result.skippedReasons.length).toBe(5);
  expect(result.skippedReasons[0]).toStartWith(`${file}:3: `);
  expect(query("SELECT seq FROM realtime_data ORDER BY seq")).toEqual([[0], [1]]);
});

test("when every row is bad, leaving them out is no success", async () => {
  const file = await write("bad.csv", "timestamp,price,size\nsoon,1,2\n");
  expect((await importInto([file], { skipBad: true })).stoppedBy).toBe("not one row could be read");
});

test("a header of something else, an empty file and a missing one store nothing and say why", async () => {
  const other = await write("other.csv", "name,age\nx,1\n");
  expect((await importInto([other])).stoppedBy).toStartWith(`${other}: `);
  expect((await importInto([other], { kind: "daily" })).stoppedBy).toStartWith(`${other}: no column "date"`);
  const empty = await write("empty.csv", "");
  expect((await importInto([empty])).stoppedBy).toContain("is empty");
  expect((await importInto([join(dir, "none.csv")])).stoppedBy).toContain("none.csv");
  const good = await write("good.csv", "date,open,high,low,close\n2024-01-02,1,2,3,4\n");
  expect((await importInto([good, join(dir, "none.csv")])).rowsStored).toBe(0);
});

test("what the database refuses stops with its reason", async () => {
  const file = await write("a.csv", "date,open,high,low,close\n2024-01-02,1,2,3,4\n");
  const result = await importInto([file], { ticker: "x".repeat(2_000) });
  expect(result.stoppedBy).toContain("ticker");
  expect(result.rowsStored).toBe(0);
});
