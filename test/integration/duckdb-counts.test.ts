/**
 * Volumes and sizes in DuckDB, where a column has one type: what SQLite keeps is kept exactly, or
 * refused with the value's name.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { BarRow, Count, Save, SaveOutcome, TickRow } from "../../src/storage/contract.ts";
import { type OpenDuckDb, openDuckDb } from "../../src/storage/duckdb/open.ts";
import { DRIVERS, type OpenDatabase } from "../conformance/drivers.ts";
import { textOf } from "../support/answered.ts";
import { changeDuckDbFile } from "../support/duckdb-file.ts";
import { randomNumbers } from "../support/random.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const openSqlite = DRIVERS.find(({ name }) => name === "sqlite")!.prepare();
const openIn = (dir: string): Promise<OpenDuckDb> =>
  openDuckDb({ path: join(dir, "a.duckdb"), memoryLimitMb: 256, threads: 2, onFatal() {} });

const BORDERS = [
  2 / 3e5,
  1e-19,
  5e-324,
  2.225073858507201e-308,
  2.2250738585072014e-308,
  -0,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 53 + 2,
  -(2 ** 53),
  2 ** 62,
  -(2 ** 60),
  2 ** 63 - 1024,
  4503599627370495.5,
  0.1 + 0.2,
  1e-7,
];
const INTEGERS = ["9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808"];

/** Of every magnitude that is a count. */
function anyDouble(random: () => number): number {
  const view = new DataView(new ArrayBuffer(8));
  for (;;) {
    view.setUint32(0, random() * 2 ** 32);
    view.setUint32(4, random() * 2 ** 32);
    const value = view.getFloat64(0);
    if (Math.abs(value) < 2 ** 63) return value;
  }
}

function someCounts(seed: number): Count[] {
  const random = randomNumbers(seed);
  const ofPlainSize = (): number => Math.round(random() * 1e6) / 10 ** Math.floor(random() * 6);
  const small = (): number => (random() - 0.5) * 10 ** -Math.floor(random() * 25);
  const random100 = [anyDouble, ofPlainSize, small].flatMap((make) =>
    Array.from({ length: 100 }, () => make(random)),
  );
  return [...BORDERS, ...random100].toSorted(() => random() - 0.5);
}

const stampOf = (second: number): string =>
  new Date(Date.UTC(2024, 0, 2) + second * 1000).toISOString().slice(0, 19).replace("T", " ");
const dateOf = (day: number): string => new Date(Date.UTC(2000, 0, day)).toISOString().slice(0, 10);

function ticks(counts: (Count | null)[], first = 0): Save {
  const rows = counts.map(
    (count, i): TickRow => [`${stampOf(first + i)}.000000`, 1, count, null, counts.at(-i)!, null, null, null],
  );
  return { kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "match" };
}

function bars(interval: "daily" | "hourly", counts: Count[]): Save {
  const stamp = (i: number): string => (interval === "daily" ? dateOf(i + 1) : stampOf(i * 3600));
  const rows = counts.map((count, i): BarRow => [stamp(i), 1, 1, 1, 1, count, null]);
  return { kind: interval, part: null, ticker: "A", rows, onDuplicate: "replace" };
}

const allTicks = { kind: "ticks" as const, ticker: "A", part: "trade", from: null, to: null };

const withoutEpochs = (outcomes: (object | null)[]) => outcomes.map((outcome) => ({ ...outcome, epoch: "" }));

/** Integers as their digits, other numbers by value. */
function comparable(text: string): unknown {
  if (text === "") return null;
  type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
  return (JSON.parse as (text: string, reviver: Reviver) => unknown)(text, (key, value, { source = "" }) => {
    if (key === "write_timestamp") return null;
    if (typeof value !== "number") return value;
    return Number.isInteger(value) && (key === "volume" || key.endsWith("size")) ? source : value;
  });
}

async function answersOf({ reader }: Pick<OpenDatabase, "reader">): Promise<unknown[]> {
  const answers: unknown[] = [comparable(await textOf(reader.rows(allTicks)))];
  for (const interval of ["daily", "hourly"] as const)
    answers.push(
      comparable(
        await textOf(reader.rows({ kind: interval, part: null, ticker: "A", from: null, to: null })),
      ),
    );
  for (let day = 1; day <= 30; day++) answers.push(await reader.dailyVolume("A", dateOf(day)));
  answers.push(await reader.updates.snapshot("A"));
  return answers;
}

async function query(db: OpenDuckDb, sql: string, mode: "read" | "write" = "read"): Promise<string> {
  const outcome = await db.sql.run({ sql, params: [], mode, maxRows: 1_000_000 }, { timeoutMs: 60_000 });
  if (outcome.status !== "rows") throw new Error(JSON.stringify(outcome));
  return Buffer.concat(outcome.parts).toString();
}

const typeOfSize = async (db: OpenDuckDb): Promise<string> =>
  JSON.parse(await query(db, "SELECT typeof(size) AS type FROM realtime_data LIMIT 1"))[0].type;

async function expectSame(batches: Save[][], type: string): Promise<void> {
  using dir = tempDir();
  await using expected = await openSqlite(dir.path);
  const db = await openIn(dir.path);
  try {
    for (const batch of batches)
      expect(withoutEpochs(await db.writer.commit(batch))).toEqual(
        withoutEpochs(await expected.writer.commit(batch)),
      );
    expect(await typeOfSize(db)).toBe(type);
    expect(await answersOf(db)).toEqual(await answersOf(expected));
    // What is there already is found to be equal.
    for (const batch of batches.map((saves) => saves.filter(({ kind }) => kind === "ticks"))) {
      const again = await db.writer.commit(batch);
      expect(again).toMatchObject(batch.map(() => ({ ok: true, stored: 0, position: null })));
    }
  } finally {
    await db.close();
  }
}

test.each([1, 2, 3])("every double is kept as SQLite keeps it (seed %d)", async (seed) => {
  const counts = someCounts(seed);
  await expectSame(
    [
      [ticks([1, 2, 3, 2 ** 53, null], 9_000), bars("hourly", [7])],
      [ticks(counts), bars("daily", counts), bars("hourly", counts)],
    ],
    "DOUBLE",
  );
});

test("integers that no double is are kept beside fractions of 18 decimals, whichever come first", async () => {
  const fractions = [0.5, 2 / 3, 1e-7, 123456.789, 1e-18];
  const wide = "DECIMAL(38,18)";
  await expectSame([[ticks(INTEGERS)], [ticks(fractions, 100)]], wide);
  await expectSame([[ticks(fractions)], [ticks(INTEGERS, 100)]], wide);
  await expectSame([[ticks(fractions), ticks(INTEGERS, 100)], [bars("daily", [...INTEGERS, 0.1])]], wide);
  await expectSame([[bars("daily", INTEGERS)], [ticks(INTEGERS), bars("daily", [0.25])]], "BIGINT");
});

test("what no type of column holds is refused by name, and the rest of the batch is stored", async () => {
  using dir = tempDir();
  const db = await openIn(dir.path);
  try {
    const refusal: SaveOutcome & { details: string } = {
      ok: false,
      status: 400,
      error:
        "save_realtime_data: A trade 2024-01-02 00:00:11.000000: size 1e-19 can't be stored exactly; nothing was saved",
      details:
        "realtime_data.size is BIGINT; DOUBLE has no room for 9007199254740993; DECIMAL(38,18) has no room for 1e-19",
    };
    const bad = ticks([5, 1e-19], 10);
    expect(await db.writer.commit([ticks(["9007199254740993"]), bad, ticks([6], 20)])).toMatchObject([
      { ok: true, stored: 1, position: 1 },
      refusal,
      { ok: true, stored: 1, position: 2 },
    ]);
    for (let i = 0; i < 2; i++)
      expect(await db.writer.commit([bad])).toEqual([
        {
          ...refusal,
          details: refusal.details.replace("9007199254740993", "9007199254740993, which is stored"),
        },
      ]);
    expect(await query(db, "SELECT size, typeof(size) AS t FROM realtime_data ORDER BY timestamp")).toBe(
      '[{"size":9007199254740993,"t":"BIGINT"},{"size":6,"t":"BIGINT"}]',
    );
    await query(db, "DELETE FROM realtime_data WHERE size > 6", "write");
    expect(await db.writer.commit([bad])).toMatchObject([{ ok: true, stored: 2, position: 3 }]);
    // The other way round.
    expect(await db.writer.commit([ticks(["9007199254740993"])])).toMatchObject([
      { ok: false, status: 400, details: expect.stringContaining("has no room for 1e-19, which is stored") },
    ]);
    expect(await query(db, "SELECT size FROM realtime_data ORDER BY timestamp, seq")).toBe(
      '[{"size":5},{"size":1e-19},{"size":6}]',
    );
    expect(await query(db, "SELECT sum(size) AS n, max(size) AS m FROM realtime_data WHERE size > 1")).toBe(
      '[{"n":11,"m":6}]',
    );
  } finally {
    await db.close();
  }
});

test("a column that a user's index holds on to doesn't change its type: the save is refused, others are not", async () => {
  using dir = tempDir();
  await (await openIn(dir.path)).close();
  await changeDuckDbFile(join(dir.path, "a.duckdb"), "CREATE INDEX sizes ON realtime_data (size)");
  const db = await openIn(dir.path);
  try {
    expect(await db.writer.commit([ticks([1]), ticks([0.5], 5)])).toMatchObject([
      { ok: true, stored: 1 },
      { ok: false, status: 400, details: expect.stringContaining("it can't become DOUBLE: ") },
    ]);
  } finally {
    await db.close();
  }
});

test("what a user's transaction has not committed is not in a column that changes its type meanwhile", async () => {
  for (let round = 0; round < 8; round++) {
    using dir = tempDir();
    const db = await openIn(dir.path);
    try {
      await query(
        db,
        `INSERT INTO realtime_data (ticker, type, timestamp, seq, size)
         SELECT 'B', 'trade', TIMESTAMP '2024-01-01' + to_seconds(range), 0, 1 FROM range(50000)`,
        "write",
      );
      const sql = "UPDATE realtime_data SET size = size + 1 WHERE ticker = 'B'";
      const updating = db.sql
        .run({ sql, params: [], mode: "write", maxRows: 1 }, { timeoutMs: 60_000 })
        .catch((error) => error);
      await Bun.sleep(round * 4);
      expect(await db.writer.commit([ticks([0.5])])).toMatchObject([{ ok: true, stored: 1 }]);
      const outcome = await updating;
      // Whichever came first: the update was made once, or stopped and not made.
      if (outcome.status !== "rows") expect(outcome.status).toBe(503);
      const [sizes] = JSON.parse(
        await query(db, "SELECT min(size) AS low, max(size) AS high FROM realtime_data WHERE ticker = 'B'"),
      );
      const size = outcome.status === "rows" ? 2 : 1;
      expect(sizes).toEqual({ low: size, high: size });
    } finally {
      await db.close();
    }
  }
});

test("a DECIMAL column of an earlier file becomes DOUBLE when that is needed and exact", async () => {
  using dir = tempDir();
  await (await openIn(dir.path)).close();
  const instance = await DuckDBInstance.create(join(dir.path, "a.duckdb"));
  const connection = await instance.connect();
  for (const [column, values] of [
    [
      "size",
      "('0.3'), ('0.30000000000000004'), ('9007199254740992'), ('1152921504606846976'), (NULL), ('0.0000001')",
    ],
    ["ask_size", "('0.5'), ('9007199254740993'), (NULL), ('1'), ('2'), ('3')"],
  ] as const) {
    await connection.run(`ALTER TABLE realtime_data ALTER ${column} SET DATA TYPE DECIMAL(38,18)`);
    await connection.run(
      `CREATE TABLE ${column}s AS SELECT col0::DECIMAL(38,18) AS v FROM (VALUES ${values})`,
    );
  }
  await connection.run(
    `INSERT INTO realtime_data (ticker, type, timestamp, seq, price, size, ask_size)
     SELECT 'A', 'trade', TIMESTAMP '2024-01-01', s.rowid, 1, s.v, a.v FROM sizes s POSITIONAL JOIN ask_sizes a`,
  );
  connection.closeSync();
  instance.closeSync();
  const db = await openIn(dir.path);
  try {
    const before = comparable(await textOf(db.reader.rows(allTicks)));
    const size = (value: Count, askSize: Count): Save => ({
      ...(ticks([1]) as Save & { kind: "ticks" }),
      rows: [["2024-01-02 00:00:00.000000", 1, value, null, askSize, null, null, null]],
    });
    expect(await db.writer.commit([size(1, 1e-19)])).toMatchObject([
      { status: 400, error: expect.stringContaining("ask_size 1e-19") },
    ]);
    expect(comparable(await textOf(db.reader.rows(allTicks)))).toEqual(before);
    expect(await typeOfSize(db)).toBe("DECIMAL(38,18)");
    expect(await db.writer.commit([size(2 / 3e5, "9223372036854775807")])).toMatchObject([{ stored: 1 }]);
    expect(await typeOfSize(db)).toBe("DOUBLE");
    const after = comparable(await textOf(db.reader.rows(allTicks))) as { data: { size: unknown }[] };
    const sizes = after.data.map((row) => row.size);
    expect(sizes).toEqual([
      0.3,
      0.30000000000000004,
      "9007199254740992",
      "1152921504606846976",
      null,
      1e-7,
      2 / 3e5,
    ]);
    expect(after.data[1]).toMatchObject({ ask_size: "9007199254740993" });
  } finally {
    await db.close();
  }
});
