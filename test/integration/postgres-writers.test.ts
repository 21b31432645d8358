/** Several processes that write to one PostgreSQL at once, as the workers of several servers do. */
import { expect, test } from "bun:test";
import { AVERAGE_COLUMNS, continueAverages, startState } from "../../src/market/moving-averages.ts";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import { rowsOf } from "../support/answered.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { runWriters } from "../support/postgres-writers.ts";

const PROCESSES = 4;
const TIMEOUT_MS = 240_000;

const postgres = usePostgres();

/** What each of them printed. */
const open = (dbFile: string): Promise<PostgresDatabase> =>
  openPostgres({ dbFile, durability: "full", dbPoolSize: 3 });

async function deadlocks(): Promise<number> {
  const [row] = await postgres.admin.unsafe<{ n: number }[]>(
    "SELECT sum(deadlocks)::int AS n FROM pg_stat_database",
  );
  return row!.n;
}

test(
  "of many that start at once, one makes the tables",
  async () => {
    const dbFile = await postgres.freshSchema();
    const done = await runWriters(dbFile, "open", 6);
    expect(done.filter((line) => line === "created the tables")).toHaveLength(1);
    expect(done.filter((line) => line === "nothing")).toHaveLength(5);
  },
  TIMEOUT_MS,
);

test(
  "ticks of one stamp from several writers are all kept, each under a seq of its own, without gaps",
  async () => {
    const dbFile = await postgres.freshSchema();
    await runWriters(dbFile, "ticks", PROCESSES);
    // Once more: nothing of it is new.
    await runWriters(dbFile, "ticks", PROCESSES);
    await using db = await open(dbFile);
    const rows = await rowsOf(
      db.reader.rows({ kind: "ticks", ticker: "SAME", part: "trade", from: null, to: null }),
    );
    expect(rows).toHaveLength(PROCESSES * 20 * 10);
    expect(new Set(rows.map((row) => `${row.timestamp} ${row.price}`)).size).toBe(rows.length);
    const schema = schemaOf(dbFile);
    const gaps = await postgres.admin.unsafe(
      `SELECT "timestamp" FROM ${schema}.realtime_data GROUP BY "timestamp" HAVING max(seq) + 1 <> count(*) OR min(seq) <> 0`,
    );
    expect(gaps).toHaveLength(0);
  },
  TIMEOUT_MS,
);

test(
  "days of one series from several writers have the averages of the whole series",
  async () => {
    const dbFile = await postgres.freshSchema();
    await runWriters(dbFile, "days", PROCESSES);
    await using db = await open(dbFile);
    const rows = await rowsOf(
      db.reader.rows({ kind: "daily", part: null, ticker: "SAME", from: null, to: null }),
    );
    expect(rows).toHaveLength(PROCESSES * 20 * 10);
    const closes = rows.map((row) => row.close as number);
    const expected = continueAverages(startState(), [], closes).rows;
    expect(rows.map((row) => AVERAGE_COLUMNS.map((name) => row[name]))).toEqual(expected as never);
  },
  TIMEOUT_MS,
);

test(
  "batches of many tickers in any order don't wait for each other in a circle",
  async () => {
    const dbFile = await postgres.freshSchema();
    const before = await deadlocks();
    await runWriters(dbFile, "many", PROCESSES);
    expect(await deadlocks()).toBe(before);
    await using db = await open(dbFile);
    for (const ticker of ["T0", "T29"]) {
      const ticks = await rowsOf(
        db.reader.rows({ kind: "ticks", ticker, part: "trade", from: null, to: null }),
      );
      expect(ticks).toHaveLength(PROCESSES * 15 * 10);
    }
  },
  TIMEOUT_MS,
);
