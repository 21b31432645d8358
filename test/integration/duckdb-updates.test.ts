/** Positions and the log of updates in DuckDB files: what the engine's own shape brings along. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { startHub } from "../../src/hub/hub.ts";
import { HubClient } from "../../src/hub/hub-client.ts";
import { hubReader } from "../../src/hub/hub-reader.ts";
import type { LogLines } from "../../src/observe/log.ts";
import type { Save, SaveOutcome } from "../../src/storage/contract.ts";
import { type OpenDuckDb, openDuckDb } from "../../src/storage/duckdb/open.ts";
import { kindsAfter, NOTES_TABLE } from "../../src/storage/model/kinds.ts";
import { changeDuckDbFile } from "../support/duckdb-file.ts";
import { FEEDS_OF_CLIENT, FEEDS_OF_HUB } from "../support/feeds.ts";
import { stampOf, ticks } from "../support/saves.ts";
import { newestOf } from "../support/snapshots.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const ADDED = [...kindsAfter(0).map(({ table }) => table), NOTES_TABLE];
const SILENT: LogLines = { debug() {}, info() {}, warning() {}, error() {}, critical() {} };
const ALL = { updates: 1_000_000, characters: 1_000_000_000 };

function setUp() {
  const dir = tempDir();
  const path = join(dir.path, "test.duckdb");
  return {
    dir: dir.path,
    path,
    async open(updateLogBytes?: number): Promise<OpenDuckDb & AsyncDisposable> {
      const db = await openDuckDb({ path, memoryLimitMb: 256, threads: 2, updateLogBytes, onFatal() {} });
      return { ...db, [Symbol.asyncDispose]: () => db.close() };
    },
    /** As another program would change the file, while no server has it open. */
    change: (...statements: string[]): Promise<void> => changeDuckDbFile(path, ...statements),
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

async function execute(db: OpenDuckDb, sql: string): Promise<void> {
  const request = { sql, params: [], mode: "write" as const, maxRows: 1 };
  const outcome = await db.sql.run(request, { timeoutMs: 30_000 });
  if (outcome.status !== "rows") throw new Error(JSON.stringify(outcome));
}

/** One tick, whose price and stamp are told by `n`. */
const tick = (ticker: string, n: number, { frame = `{"n":${n}}`, repeated = false } = {}): Save =>
  ticks(ticker, [[stampOf(n), n]], "match", { saveId: `${ticker}-${n}`, repeated, frame });

const seqs = (outcomes: (SaveOutcome | null)[]) =>
  outcomes.map((outcome) => (outcome?.ok ? outcome.position : outcome));
const framesAfter = async (db: OpenDuckDb, ticker: string, after: number) =>
  (await db.reader.updates.after(ticker, after, ALL)).map(({ frame }) => frame);

test("a file of the version before gets its log when it is opened, and keeps its rows", async () => {
  using file = setUp();
  {
    await using db = await file.open();
    await db.writer.commit([tick("A", 1)]);
  }
  await file.change(
    ...ADDED.map((table) => `DROP TABLE ${table}`),
    "DROP TABLE update_log",
    "DROP TABLE update_positions",
    "DROP TABLE update_epoch",
    "UPDATE stock_db_schema SET version = 1",
  );
  {
    await using db = await file.open();
    expect(db.preparation).toBe(`added the log of updates, ${ADDED.join(", ")}`);
    expect(await db.reader.latestPrice("A")).toBe(1);
    expect(await db.reader.updates.epoch()).toMatch(/^[a-z0-9-]{36}$/);
    expect(await db.reader.updates.positions(null)).toEqual(new Map());
    expect(seqs(await db.writer.commit([tick("A", 1), tick("A", 2)]))).toEqual([null, 1]);
  }
  await using db = await file.open();
  expect(db.preparation).toBeNull();
  expect(await framesAfter(db, "A", 0)).toEqual(['{"n":2}']);
});

test("an upgrade that fails leaves the file as it was", async () => {
  using file = setUp();
  {
    await using _ = await file.open();
  }
  await file.change(
    ...ADDED.map((table) => `DROP TABLE ${table}`),
    "DROP TABLE update_positions",
    "DROP TABLE update_epoch",
    "UPDATE stock_db_schema SET version = 1",
  );
  await expect(file.open()).rejects.toThrow("update_log");
  await file.change("DROP TABLE update_log");
  await using db = await file.open();
  expect(db.preparation).toBe(`added the log of updates, ${ADDED.join(", ")}`);
});

test("a ticker whose updates were all trimmed goes on where it was, also after a restart", async () => {
  using file = setUp();
  const frame = `{"text":"${"x".repeat(50_000)}"}`;
  {
    await using db = await file.open(2 ** 20);
    await db.writer.commit([tick("QUIET", 1), tick("QUIET", 2)]);
    for (let n = 0; n < 60; n++) await db.writer.commit([tick("LOUD", n, { frame })]);
    expect(await db.reader.updates.positions(["QUIET"])).toEqual(new Map([["QUIET", 2]]));
  }
  await using db = await file.open(2 ** 20);
  expect(await db.reader.updates.positions(null)).toEqual(
    new Map([
      ["LOUD", 60],
      ["QUIET", 2],
    ]),
  );
  expect(await framesAfter(db, "QUIET", 0)).toEqual([]);
  expect((await db.reader.updates.snapshot("QUIET")).position).toBe(2);
  expect(seqs(await db.writer.commit([tick("QUIET", 3)]))).toEqual([3]);
  const kept = await db.reader.updates.after("LOUD", 0, ALL);
  expect(kept.length).toBeLessThan(30);
  expect(kept.at(-1)?.position).toBe(60);
});

test("a save that is repeated while its first try is in the same batch is answered as that", async () => {
  using file = setUp();
  await using db = await file.open();
  const again = tick("A", 1, { repeated: true });
  const outcomes = await db.writer.commit([tick("A", 1), again, tick("A", 2)]);
  expect(seqs(outcomes)).toEqual([1, 1, 2]);
  expect(outcomes[1]).toMatchObject({ stored: 1, isRepetition: true });
  expect(await db.writer.commit([again])).toMatchObject([
    { ok: true, stored: 1, position: 1, isRepetition: true },
  ]);
  expect(await framesAfter(db, "A", 0)).toEqual(['{"n":1}', '{"n":2}']);
});

test("a batch that a user's rule refuses in part leaves positions without holes", async () => {
  using file = setUp();
  {
    await using _ = await file.open();
  }
  await file.change("CREATE UNIQUE INDEX one_price ON realtime_data(price)");
  await using db = await file.open();
  const twin = { ...tick("A", 7), ticker: "B" } as Save;
  const outcomes = await db.writer.commit([tick("A", 7), twin, tick("A", 8), tick("B", 9)]);
  expect(outcomes.map((outcome) => outcome?.ok)).toEqual([true, false, true, true]);
  expect(await db.reader.updates.positions(null)).toEqual(
    new Map([
      ["A", 2],
      ["B", 1],
    ]),
  );
});

test("users can't write into the log, nor into anything else that the server keeps for itself", async () => {
  using file = setUp();
  await using db = await file.open();
  for (let n = 1; n <= 3; n++) await db.writer.commit([tick("A", n)]);
  const epoch = await db.reader.updates.epoch();
  for (const statement of [
    "DELETE FROM update_log WHERE ticker = 'A'",
    "DELETE FROM UPDATE_LOG",
    "UPDATE \"update_log\" SET frame = 'not json' WHERE seq = 2",
    "INSERT INTO update_log SELECT id + 1, ticker, seq + 1, type, saved_at, save_id, size, frame, NULL, NULL FROM update_log",
    "INSERT INTO update_positions VALUES ('A', 99, 0)",
    "TRUNCATE update_log",
    "UPDATE update_epoch SET epoch = 'x'",
    "UPDATE stock_db_schema SET version = 3",
    "EXPLAIN ANALYZE DELETE FROM update_log",
    "MERGE INTO update_log u USING (SELECT 'A' AS ticker) s ON u.ticker = s.ticker WHEN MATCHED THEN DELETE",
    "INSERT INTO daily_checkpoints VALUES ('A', '2024-01-01', 1, [], [], 0)",
  ]) {
    const request = { sql: statement, params: [], mode: "write" as const, maxRows: 100 };
    expect({ statement, ...(await db.sql.run(request, { timeoutMs: 30_000 })) }).toMatchObject({
      statement,
      status: "error",
      httpStatus: 400,
      error: expect.stringContaining("is not allowed: the server alone writes there"),
    });
  }
  expect(await framesAfter(db, "A", 0)).toEqual(['{"n":1}', '{"n":2}', '{"n":3}']);
  expect(await db.reader.updates.epoch()).toBe(epoch);
  // What only reads there stays allowed, whatever it writes elsewhere.
  await execute(db, "CREATE TABLE mine AS SELECT * FROM update_log");
  await execute(db, "INSERT INTO mine SELECT * FROM update_log");
});

test("a frame that another program has spoilt is not handed out; those behind it are", async () => {
  using file = setUp();
  {
    await using db = await file.open();
    for (let n = 1; n <= 4; n++) await db.writer.commit([tick("A", n)]);
  }
  await file.change("UPDATE update_log SET frame = 'not json' WHERE seq = 2");
  await using db = await file.open();
  expect(await framesAfter(db, "A", 0)).toEqual(['{"n":1}', "", '{"n":3}', '{"n":4}']);
});

test("every read of updates gives a worker what it gives in the hub", async () => {
  using file = setUp();
  await using database = await file.open();
  const { reader, writer } = database;
  const hub = startHub({
    feeds: FEEDS_OF_HUB,
    runtimeDir: file.dir,
    writer,
    database,
    log: SILENT,
    openBus: null,
    leaseTimeoutMs: 60_000,
  });
  const client = new HubClient({
    ...FEEDS_OF_CLIENT,
    runtimeDir: file.dir,
    workerId: 0,
    log: SILENT,
    publish() {},
    note() {},
    removed() {},
    condition() {},
    missed() {},
    livenessMs: 10_000,
    conditions: { begin() {}, end() {} },
    sockets: () => [],
  });
  await client.connect();
  try {
    const worker = hubReader(client).updates;
    const frame = `{"text":"Ä株😀${"x".repeat(1_000_000)}"}`;
    for (const [n, ticker] of ["A", "A", "株"].entries()) {
      const save = tick(ticker, n, n === 1 ? { frame } : {});
      await client.save(save, 100);
    }
    const bar: Save = {
      kind: "daily",
      part: null,
      ticker: "A",
      rows: [["2024-01-02", 1.5, 2, 0.1, null, "9223372036854775807"]],
      onDuplicate: "replace",
    };
    await client.save(bar, 100);

    expect(await worker.epoch()).toBe(await reader.updates.epoch());
    const positions = new Map([
      ["A", 3],
      ["株", 1],
    ]);
    expect(await worker.positions(null)).toEqual(positions);
    expect(await worker.positions(["株", "none"])).toEqual(new Map([["株", 1]]));
    const updates = await worker.after("A", 0, ALL);
    expect(updates).toEqual(await reader.updates.after("A", 0, ALL));
    expect(updates.map(({ position, type }) => [position, type])).toEqual([
      [1, "trade"],
      [2, "trade"],
      [3, "bar"],
    ]);
    expect(updates[2]?.frame).toBe("");
    expect(await worker.after("A", 1, { updates: 10, characters: 1 })).toMatchObject([{ position: 2 }]);
    expect(await worker.after("A", 3, ALL)).toEqual([]);
    const snapshot = await worker.snapshot("A");
    expect(snapshot).toEqual(await reader.updates.snapshot("A"));
    expect(snapshot.position).toBe(3);
    expect(newestOf(snapshot, "ticks", "trade")).toEqual([stampOf(1), 1, 100, null, null, null, null]);
    expect(newestOf(snapshot, "daily")).toEqual([
      "2024-01-02",
      1.5,
      2,
      0.1,
      null,
      "9223372036854775807",
      null,
    ]);
    expect(snapshot.newest).toHaveLength(2);
  } finally {
    client.close();
    await hub.stop();
  }
});
