/**
 * Connections to PostgreSQL: how many, who waits for how long, what is stopped, and what the
 * figures say.
 */
import { expect, test } from "bun:test";
import type { SaveTicks } from "../../src/storage/contract.ts";
import {
  openPostgres,
  type PostgresDatabase,
  type PostgresSettings,
} from "../../src/storage/postgres/open.ts";
import { lockSql } from "../../src/storage/postgres/ticker-locks.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { stampOf, ticks, upTo } from "../support/saves.ts";
import { until } from "../support/until.ts";

const TIMEOUT_MS = 240_000;
const NEVER_MS = 60_000;

const postgres = usePostgres("max_connections=16", "superuser_reserved_connections=3");

/** @param name by which the server knows its connections. */
async function open(more: Partial<PostgresSettings> = {}, name = "pool"): Promise<PostgresDatabase> {
  const dbFile = `${await postgres.freshSchema()}&application_name=${name}`;
  return openPostgres({ dbFile, durability: "full", dbPoolSize: 4, ...more });
}

async function connectionsOf(name: string): Promise<number> {
  const rows = await postgres.admin.unsafe("SELECT 1 FROM pg_stat_activity WHERE application_name = $1", [
    name,
  ]);
  return rows.length;
}

const trades = (ticker: string, count: number): SaveTicks =>
  ticks(
    ticker,
    upTo(count).map((n) => [stampOf(n), n - 1]),
  );

function sleep(db: PostgresDatabase, seconds: number, signal?: AbortSignal) {
  const request = { sql: `select pg_sleep(${seconds})`, params: [], mode: "read" as const, maxRows: 1 };
  return db.sql.run(request, { timeoutMs: NEVER_MS, signal });
}

/** What a user's statement is to the server: a fetch from its cursor. */
const USERS = "FROM user_rows";

/** Statements that run on the server, of those that hold this text. */
async function running(text: string): Promise<number> {
  const rows = await postgres.admin.unsafe(
    "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()",
    [`%${text}%`],
  );
  return rows.length;
}

test(
  "slow statements leave connections to reads and saves",
  async () => {
    await using db = await open();
    const stop = new AbortController();
    const slow = [1, 2, 3].map(() => sleep(db, 600, stop.signal).catch((error: unknown) => error));
    await until(async () => (await running(USERS)) === 2);
    expect(await db.reader.pool()).toMatchObject({ active_connections: 2, waiting_requests: 1 });
    expect(await db.writer.commit([trades("A", 1)])).toMatchObject([
      { ok: true, stored: 1, position: expect.any(Number) },
    ]);
    expect(await Promise.all(Array.from({ length: 50 }, () => db.reader.latestPrice("A")))).toEqual(
      Array(50).fill(0),
    );
    stop.abort();
    for (const error of await Promise.all(slow)) expect(error).toMatchObject({ status: 499 });
    await until(
      async () => (await running(USERS)) === 0 && (await db.reader.pool()).active_connections === 0,
    );
    expect(await db.reader.pool()).toMatchObject({
      pool_max_size: 4,
      available_connections: 4,
      active_connections: 0,
      waiting_requests: 0,
      stale_connections: 0,
    });
  },
  TIMEOUT_MS,
);

test(
  "whoever reads rows slowly leaves a connection to SQL, and the other way round",
  async () => {
    await using db = await open({ dbPoolSize: 5, limits: { waitLongMs: 200 } });
    await db.writer.commit([trades("A", 50_000)]);
    const read = async () =>
      db.reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null });
    const streams = [await read(), await read()];
    await expect(read()).rejects.toMatchObject({ status: 503 });
    expect(await sleep(db, 0)).toMatchObject({ status: "rows" });
    for (const rows of streams)
      if (!rows.empty && "chunks" in rows) await rows.chunks[Symbol.asyncIterator]().return?.();

    const stop = new AbortController();
    const slow = [1, 2].map(() => sleep(db, 600, stop.signal).catch((error: unknown) => error));
    await until(async () => (await running(USERS)) === 2);
    await expect(sleep(db, 0)).rejects.toMatchObject({ status: 503 });
    const rows = await read();
    expect(!rows.empty && "chunks" in rows).toBe(true);
    if (!rows.empty && "chunks" in rows) await rows.chunks[Symbol.asyncIterator]().return?.();
    stop.abort();
    await Promise.all(slow);
  },
  TIMEOUT_MS,
);

test(
  "who finds no connection waits, and gets a 503 when its time is over",
  async () => {
    await using db = await open({ dbPoolSize: 2, limits: { waitLongMs: 200, waitShortMs: 200 } });
    const stop = new AbortController();
    const slow = sleep(db, 600, stop.signal).catch((error: unknown) => error);
    await until(async () => (await running(USERS)) === 1);
    await expect(sleep(db, 0)).rejects.toMatchObject({ status: 503, retryAfterS: 1 });
    expect((await db.reader.pool()).waiting_requests).toBe(0);
    // A stream waits in the same line.
    await db.writer.commit([trades("A", 1_500)]);
    await expect(
      db.reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null }) as Promise<unknown>,
    ).rejects.toMatchObject({ status: 503 });
    stop.abort();
    await slow;
    await until(async () => (await db.reader.pool()).active_connections === 0);
    expect(await sleep(db, 0)).toMatchObject({ status: "rows" });
  },
  TIMEOUT_MS,
);

test(
  "a statement that had no time left to run is a 503; one that waited and ran tells both times",
  async () => {
    await using db = await open({ dbPoolSize: 2 });
    const stop = new AbortController();
    const slow = sleep(db, 600, stop.signal).catch((error: unknown) => error);
    await until(async () => (await running(USERS)) === 1);
    const request = { sql: "select pg_sleep(600)", params: [], mode: "read" as const, maxRows: 1 };
    await expect(db.sql.run(request, { timeoutMs: 100 })).rejects.toMatchObject({
      status: 503,
      retryAfterS: 1,
      message: expect.stringContaining("did not run"),
    });
    const second = db.sql.run(request, { timeoutMs: 5_000 }).catch((error: unknown) => error);
    await until(async () => (await db.reader.pool()).waiting_requests === 1);
    await Bun.sleep(200);
    stop.abort();
    await slow;
    expect(await second).toMatchObject({
      status: 504,
      message: expect.stringMatching(
        /^execute_sql: stopped at the limit of 5 s: it waited [\d.]+ s for its turn and ran [\d.]+ s$/,
      ),
    });
  },
  TIMEOUT_MS,
);

test(
  "more reads than connections are all answered, on no more connections than the pool's",
  async () => {
    await using db = await open({ dbPoolSize: 3 }, "many_reads");
    await db.writer.commit([trades("A", 5)]);
    const prices = await Promise.all(Array.from({ length: 1_000 }, () => db.reader.latestPrice("A")));
    expect(prices).toEqual(Array(1_000).fill(4));
    expect(await connectionsOf("many_reads")).toBeLessThanOrEqual(3);
  },
  TIMEOUT_MS,
);

test(
  "when PostgreSQL has no connections left, those that are there do the work",
  async () => {
    await using db = await open({ dbPoolSize: 12 });
    await db.writer.commit([trades("A", 5)]);
    await using other = await open({ dbPoolSize: 14, limits: { waitShortMs: 20_000 } });
    const stop = new AbortController();
    const slow = Array.from({ length: 8 }, () =>
      sleep(db, 600, stop.signal).catch((error: unknown) => error),
    );
    await until(async () => (await running(USERS)) === 8);
    const commits = Array.from({ length: 30 }, (_, i) => other.writer.commit([trades(`T${i}`, 1)]));
    for (const outcome of await Promise.all(commits))
      expect(outcome).toMatchObject([{ ok: true, stored: 1, position: expect.any(Number) }]);
    // What is told is how the newest attempt ended: some of the first may have succeeded after
    // others failed.
    await until(async () => {
      await Promise.all(Array.from({ length: 14 }, (_, i) => other.writer.commit([trades(`U${i}`, 1)])));
      const { connected, last_error } = await other.reader.pool();
      return connected === true && last_error?.includes("53300") === true;
    });
    stop.abort();
    await Promise.all(slow);
  },
  TIMEOUT_MS,
);

test(
  "a read whose client has gone is stopped on the server",
  async () => {
    const dbFile = await postgres.freshSchema();
    await using db = await openPostgres({ dbFile, durability: "full", dbPoolSize: 4 });
    await db.writer.commit([trades("A", 1)]);
    const schema = schemaOf(dbFile);
    const lock = await postgres.admin.reserve();
    try {
      await lock.unsafe("BEGIN");
      await lock.unsafe(`LOCK TABLE ${schema}.realtime_data IN ACCESS EXCLUSIVE MODE`);
      const gone = new AbortController();
      const read = (
        db.reader.rows(
          { kind: "ticks", ticker: "A", part: "trade", from: null, to: null },
          gone.signal,
        ) as Promise<unknown>
      ).catch((error: unknown) => error);
      await until(async () => (await running("FROM realtime_data p")) === 1);
      gone.abort();
      expect(await read).toMatchObject({ status: 503 });
      await until(async () => (await running("FROM realtime_data p")) === 0);
    } finally {
      await lock.unsafe("ROLLBACK");
      lock.release();
    }
    expect(await db.reader.latestPrice("A")).toBe(0);
  },
  TIMEOUT_MS,
);

test(
  "a save that waits too long for another writer is a 503, and nothing of it is stored",
  async () => {
    await using db = await open({ statementTimeoutMs: 2_000 });
    const lock = await postgres.admin.reserve();
    await lock.unsafe("BEGIN");
    await lock.unsafe(lockSql(["A"]));
    await expect(db.writer.commit([trades("A", 1)])).rejects.toMatchObject({ status: 503 });
    await lock.unsafe("ROLLBACK");
    lock.release();
    expect(await db.writer.commit([trades("A", 1)])).toMatchObject([
      { ok: true, stored: 1, position: expect.any(Number) },
    ]);
  },
  TIMEOUT_MS,
);

test(
  "connections that grew old are replaced, and idle ones closed but for one",
  async () => {
    await using db = await open({ limits: { ageMaxMs: 200, idleMaxMs: NEVER_MS, sweepMs: 20 } });
    await Promise.all(Array.from({ length: 8 }, () => db.reader.probe()));
    await until(async () => (await db.reader.pool()).stale_connections >= 4);
    await db.reader.probe();
    await using idle = await open({ limits: { idleMaxMs: 50, sweepMs: 20 } }, "idle");
    await Promise.all(Array.from({ length: 8 }, () => idle.reader.probe()));
    await until(async () => (await connectionsOf("idle")) === 1);
    expect((await idle.reader.pool()).stale_connections).toBe(0);
  },
  TIMEOUT_MS,
);

test(
  "closing waits for a save under way, and refuses what comes after",
  async () => {
    const db = await open();
    const lock = await postgres.admin.reserve();
    await lock.unsafe("BEGIN");
    await lock.unsafe(lockSql(["A"]));
    const commit = db.writer.commit([trades("A", 500)]);
    await until(async () => (await db.reader.pool()).active_connections > 0);
    const closed = db.close();
    await lock.unsafe("ROLLBACK");
    lock.release();
    expect(await commit).toMatchObject([{ ok: true, stored: 500, position: expect.any(Number) }]);
    await closed;
    await expect(db.reader.latestPrice("A")).rejects.toMatchObject({ status: 503 });
  },
  TIMEOUT_MS,
);
