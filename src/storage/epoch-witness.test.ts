import { expect, test } from "bun:test";
import { existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../../test/support/temp-dir.ts";
import { EpochWitness, type Given } from "./epoch-witness.ts";

const EPOCH = "11111111-2222-4333-8444-555555555555";
const at = (newestId: number, epoch = EPOCH): Given => ({ epoch, newestId });

function setUp() {
  const dir = tempDir();
  const dbPath = join(dir.path, "a.db");
  writeFileSync(dbPath, "");
  return { dbPath, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

/** What a process leaves that gave ids up to 10, and began to give those up to 15. */
function killedWhile(dbPath: string): void {
  const witness = new EpochWitness(dbPath);
  witness.accept(at(0), null);
  witness.giving(at(0), 10);
  witness.giving(at(10), 15);
  witness.abandon();
}

function doubtOf(dbPath: string, given: Given): string | null {
  const witness = new EpochWitness(dbPath);
  const doubt = witness.doubt(given);
  witness.abandon();
  return doubt;
}

/** As a system that went down leaves it. */
function asAfterPowerFailure(dbPath: string): void {
  const record = JSON.parse(readFileSync(`${dbPath}.epoch`, "utf8"));
  writeFileSync(
    `${dbPath}.epoch`,
    JSON.stringify({ ...record, boot: "of another boot", writtenAtMs: Date.now() }),
  );
}

test("a new database is not doubted, and nothing is beside it until it is accepted", () => {
  using file = setUp();
  expect(doubtOf(file.dbPath, at(0))).toBeNull();
  expect(existsSync(`${file.dbPath}.epoch`)).toBe(false);
  expect(doubtOf(file.dbPath, at(5))).toContain("there is no");
});

test("after a kill the last commit may have succeeded or not, and nothing else", () => {
  using file = setUp();
  killedWhile(file.dbPath);
  expect([at(10), at(15)].map((given) => doubtOf(file.dbPath, given))).toEqual([null, null]);
  expect([0, 9, 12].map((id) => doubtOf(file.dbPath, at(id)))).toEqual(
    Array(3).fill(expect.stringContaining("fewer updates than were given")),
  );
  expect(doubtOf(file.dbPath, at(16))).toContain("without its witness");
  expect(doubtOf(file.dbPath, at(15, "another"))).toContain("another epoch");
});

test("after a power failure the database may be further than its witness, but not behind", () => {
  using file = setUp();
  killedWhile(file.dbPath);
  asAfterPowerFailure(file.dbPath);
  expect([10, 12, 15, 99].map((id) => doubtOf(file.dbPath, at(id)))).toEqual([null, null, null, null]);
  expect(doubtOf(file.dbPath, at(9))).toContain("fewer updates than were given");
});

test("once it was closed the numbers are exact, also after another boot", () => {
  using file = setUp();
  const witness = new EpochWitness(file.dbPath);
  witness.accept(at(0), null);
  witness.giving(at(0), 10);
  witness.close(at(10));
  asAfterPowerFailure(file.dbPath);
  expect([0, 10, 11].map((id) => doubtOf(file.dbPath, at(id)) === null)).toEqual([false, true, false]);
});

test("a witness that was put back together with the database is told by its time", () => {
  using file = setUp();
  const witness = new EpochWitness(file.dbPath);
  witness.accept(at(10), null);
  witness.close(at(10));
  expect(doubtOf(file.dbPath, at(10))).toBeNull();
  const anHourLater = Date.now() / 1_000 + 3_600;
  utimesSync(`${file.dbPath}.epoch`, anHourLater, anHourLater);
  expect(doubtOf(file.dbPath, at(10))).toContain("not written by a server last");
});

test("what can't be read is as if it weren't there", () => {
  using file = setUp();
  for (const text of ["", "{", "[]", '{"epoch":1}', "\0".repeat(512)]) {
    writeFileSync(`${file.dbPath}.epoch`, text);
    expect(doubtOf(file.dbPath, at(5))).toContain("there is no");
  }
});
