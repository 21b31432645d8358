import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../../../test/support/temp-dir.ts";
import type { Save, TickRow } from "../contract.ts";
import { EpochWitness } from "../epoch-witness.ts";
import { setForeignLogAside } from "./write-ahead-log.ts";
import { SqliteWriter } from "./writer.ts";

const PAGE_BYTES = 4_096;
const SAVES = 10;

let dir: ReturnType<typeof tempDir>;
let live: string;
let writer: SqliteWriter;
let saved = 0;

beforeEach(() => {
  dir = tempDir();
  live = join(dir.path, "live.db");
  writer = new SqliteWriter(live, "normal", null);
  saved = 0;
});

afterEach(() => {
  writer.close();
  dir[Symbol.dispose]();
});

test("a log whose checkpoint was interrupted at any page stays with its database", () => {
  save();
  beginLogAnew();
  const { inFile } = new EpochWitness(live);
  save();
  const before = readFileSync(live);
  const after = checkpointed();
  const pages = after.length / PAGE_BYTES;
  expect(pages).toBeGreaterThan(before.length / PAGE_BYTES);
  for (let written = 0; written <= pages; written++) {
    // A checkpoint writes pages in ascending order.
    const bytes = written * PAGE_BYTES;
    const path = beside(`written${written}`);
    writeFileSync(path, Buffer.concat([after.subarray(0, bytes), before.subarray(bytes)]));
    expect([written, setForeignLogAside(path, inFile)]).toEqual([written, null]);
    expect([written, ticksIn(path)]).toEqual([written, saved]);
  }
});

test("a log beside an older file is set aside", () => {
  save();
  const older = checkpointed();
  save();
  beginLogAnew();
  const { inFile } = new EpochWitness(live);
  save();
  const path = beside("restored");
  writeFileSync(path, older);
  expect(setForeignLogAside(path, inFile)).toContain("belongs to the file that was there before");
  expect(ticksIn(path)).toBe(SAVES);
});

/** From here on the witness knows how far the file must be. */
function beginLogAnew(): void {
  {
    using db = new Database(live);
    db.run("PRAGMA wal_checkpoint(PASSIVE)");
  }
  save();
  expect(new EpochWitness(live).inFile?.to).toBeGreaterThan(0);
}

/** Each in a commit of its own, some pages long. */
function save(): void {
  for (let i = 0; i < SAVES; i++) {
    const rows: TickRow[] = [["2024-01-02 15:00:00.000000", saved, null, null, null, null, null, null]];
    const update = { saveId: `id-${saved++}`, repeated: false, frame: `"${"x".repeat(6_000)}"` };
    const tick: Save = {
      kind: "ticks",
      ticker: "A",
      part: "trade",
      onDuplicate: "match",
      rows,
      update,
    };
    expect(writer.commit([tick])).toMatchObject([{ ok: true }]);
  }
}

/** A folder of its own, with the log as it is now. @returns the path of the database there. */
function beside(name: string): string {
  const folder = join(dir.path, name);
  mkdirSync(folder);
  const path = join(folder, "live.db");
  copyFileSync(`${live}-wal`, `${path}-wal`);
  return path;
}

/** The database's file with all of its log. */
function checkpointed(): Buffer {
  const path = beside(`checkpointed${readdirSync(dir.path).length}`);
  copyFileSync(live, path);
  using db = new Database(path);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  return readFileSync(path);
}

function ticksIn(path: string): number {
  using db = new Database(path);
  return db.query<{ ticks: number }, []>("SELECT count(*) AS ticks FROM realtime_data").get()!.ticks;
}
