/**
 * Positions and the update log on PostgreSQL, where several processes write: dense, in the order of
 * commits, within the bound.
 */

import { expect, test } from "bun:test";
import type { SaveTicks } from "../../src/storage/contract.ts";
import { kindsAfter, NOTES_TABLE } from "../../src/storage/model/kinds.ts";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import type { StoredUpdate } from "../../src/storage/update-contract.ts";
import { rowsOf } from "../support/answered.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { runWriters, startWriter } from "../support/postgres-writers.ts";
import { at, logged, ticks, upTo } from "../support/saves.ts";
import { newestOf } from "../support/snapshots.ts";
import { proxyTo } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const TIMEOUT_MS = 240_000;
const NO_LIMIT = { updates: 1_000_000, characters: 1_000_000_000 };

const postgres = usePostgres();

/** The log is not trimmed meanwhile: no commit but those of the test. */
const open = (dbFile: string): Promise<PostgresDatabase> =>
  openPostgres({ dbFile, durability: "full", dbPoolSize: 3, trimPauseMs: 24 * 3_600_000 });

const logOf = (db: PostgresDatabase, ticker: string, after = 0): Promise<StoredUpdate[]> =>
  db.reader.updates.after(ticker, after, NO_LIMIT);
const priceOf = ({ frame }: StoredUpdate): number => (JSON.parse(frame) as { price: number }).price;

async function tickPrices(db: PostgresDatabase, ticker: string): Promise<number[]> {
  const rows = await rowsOf(db.reader.rows({ kind: "ticks", ticker, part: "trade", from: null, to: null }));
  return rows.map((row) => row.price as number);
}

/** What a ticker's log says is what is stored, no more and no less. */
async function expectSound(db: PostgresDatabase, ticker: string): Promise<StoredUpdate[]> {
  const log = await logOf(db, ticker);
  expect(log.map(({ position }) => position)).toEqual(upTo(log.length));
  expect(await db.reader.updates.positions([ticker])).toEqual(new Map([[ticker, log.length]]));
  const trades = log.filter(({ type }) => type === "trade");
  // Of one stamp, they are in the order in which they came.
  expect(await tickPrices(db, ticker)).toEqual(trades.map(priceOf));
  for (const [index, update] of log.entries())
    expect(update.savedAtMs).toBeGreaterThanOrEqual(log[index - 1]?.savedAtMs ?? 0);
  return log;
}

const tick = (price: number, saveId: string, repeated = false): SaveTicks =>
  ticks("A", [[at(0), price]], "match", { ...logged(saveId, `{"price":${price}}`), repeated });

test(
  "positions of two processes on one ticker are dense, and in the order of their commits",
  async () => {
    const dbFile = await postgres.freshSchema();
    await runWriters(dbFile, "updates", 2);
    await using db = await open(dbFile);
    const log = await expectSound(db, "SAME");
    expect(log).toHaveLength(2 * 60 * 2);
    for (const me of [0, 1]) {
      const own = log.map(priceOf).filter((price) => Math.floor(price / 1_000_000) === me);
      expect(own).toEqual(own.toSorted((a, b) => a - b));
      await expectSound(db, `OWN${me}`);
    }
    const last = log.findLast(({ type }) => type === "bar")!;
    expect(newestOf(await db.reader.updates.snapshot("SAME"), "daily")?.[4]).toBe(priceOf(last));
  },
  TIMEOUT_MS,
);

test(
  "writers that are killed leave no hole and no row without an update",
  async () => {
    const dbFile = await postgres.freshSchema();
    await using db = await open(dbFile);
    for (let round = 1; round <= 4; round++) {
      const writers = [0, 1].map((me) => startWriter(dbFile, "endless", { me: round * 2 + me, of: 2 }));
      const before = (await db.reader.updates.positions(["SAME"])).get("SAME") ?? 0;
      await until(async () => ((await db.reader.updates.positions(["SAME"])).get("SAME") ?? 0) > before + 30);
      for (const writer of writers) writer.kill("SIGKILL");
      await Promise.all(writers.map((writer) => writer.exited));
      // Ends what the dead have left open.
      await db.writer.commit([{ ...tick(-round, `${round}`), ticker: "SAME" }]);
      await expectSound(db, "SAME");
    }
  },
  TIMEOUT_MS,
);

test(
  "a save is repeated under its position, also where its first try was in a commit without an answer",
  async () => {
    using proxy = proxyTo(postgres.port);
    const direct = await postgres.freshSchema();
    await using db = await open(direct.replace(`:${postgres.port}/`, `:${proxy.port}/`));
    expect(await db.writer.commit([tick(1, "one")])).toMatchObject([{ ok: true, stored: 1, position: 1 }]);
    proxy.cutAt("COMMIT", "after");
    expect(await db.writer.commit([tick(2, "two")])).toMatchObject([{ ok: true, stored: 1, position: 2 }]);
    proxy.cutAt("COMMIT", "before");
    expect(await db.writer.commit([tick(3, "three")])).toMatchObject([{ ok: true, stored: 1, position: 3 }]);
    expect(proxy.cuts).toBe(2);
    await using other = await open(direct);
    expect(await other.writer.commit([tick(2, "two", true), tick(4, "four", true)])).toMatchObject([
      { ok: true, stored: 1, isRepetition: true, position: 2 },
      { ok: true, stored: 1, position: 4 },
    ]);
    await expectSound(other, "A");
  },
  TIMEOUT_MS,
);

const ADDED_TABLES = [...kindsAfter(0).map(({ table }) => table), NOTES_TABLE];

test(
  "a database of an older server gets its log, once, and keeps its rows",
  async () => {
    const dbFile = await postgres.freshSchema();
    {
      await using db = await open(dbFile);
      await db.writer.commit([tick(1, "before")]);
    }
    const schema = schemaOf(dbFile);
    await postgres.admin.unsafe(
      `DROP TABLE ${[...ADDED_TABLES, "update_log", "update_positions", "update_log_parts", "update_epoch"].map((name) => `${schema}.${name}`).join(", ")};
       UPDATE ${schema}.stock_db_schema SET version = 1`,
    );
    const opened = await Promise.all([1, 2, 3, 4].map(() => open(dbFile)));
    const [db] = opened;
    expect(
      opened.filter(({ preparation }) => preparation !== null).map(({ preparation }) => preparation),
    ).toEqual([
      expect.stringContaining(`upgraded from version 1: the update log, ${ADDED_TABLES.join(", ")}`),
    ]);
    const epochs = await Promise.all(opened.map((each) => each.reader.updates.epoch()));
    expect(new Set(epochs).size).toBe(1);
    expect(await db!.reader.updates.positions(null)).toEqual(new Map());
    expect(await db!.writer.commit([tick(1, "again"), tick(2, "next")])).toMatchObject([
      { ok: true, stored: 0, position: null },
      { ok: true, stored: 1, position: 1 },
    ]);
    expect(newestOf(await db!.reader.updates.snapshot("A"), "ticks", "trade")?.[1]).toBe(2);
    for (const each of opened) await each.close();
    await using again = await open(dbFile);
    expect(again.preparation).toBeNull();
    expect(await again.reader.updates.epoch()).toBe(epochs[0]!);
  },
  TIMEOUT_MS,
);

test(
  "an update has its time when its locks are had, so its commit comes soon after",
  async () => {
    const dbFile = await postgres.freshSchema();
    await using db = await open(dbFile);
    await db.writer.commit([tick(1, "first"), { ...tick(1, "other"), ticker: "B" }]);
    const [before] = await logOf(db, "A");
    const schema = schemaOf(dbFile);
    let releasedMs = 0;
    let saving: Promise<unknown> = Promise.resolve();
    await postgres.admin.begin(async (holder) => {
      await holder.unsafe(`SELECT 1 FROM ${schema}.update_positions WHERE ticker = 'B' FOR UPDATE`);
      saving = db.writer.commit([tick(2, "second"), { ...tick(2, "both"), ticker: "B" }]);
      await until(async () => {
        const [row] = await postgres.admin.unsafe(
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%update_positions%'",
        );
        return row.n > 0;
      });
      await Bun.sleep(100);
      const [clock] = await holder.unsafe(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms",
      );
      releasedMs = Math.floor(clock.ms);
    });
    await saving;
    for (const ticker of ["A", "B"]) {
      const [, second] = await logOf(db, ticker);
      expect(second!.savedAtMs).toBeGreaterThanOrEqual(releasedMs);
      expect(await db.reader.updates.newest(ticker)).toEqual({ position: 2, savedAtMs: second!.savedAtMs });
    }
    expect(before!.savedAtMs).toBeLessThan(releasedMs);
  },
  TIMEOUT_MS,
);

test(
  "two processes that write and trim at once keep the newest of the log, within its bound",
  async () => {
    const dbFile = await postgres.freshSchema();
    await runWriters(dbFile, "frames", 2);
    const db = await openPostgres({
      dbFile,
      durability: "full",
      dbPoolSize: 3,
      updateLogBytes: 2 ** 20,
      trimPauseMs: 20,
    });
    await using _ = db;
    const schema = schemaOf(dbFile);
    const bytes = async (): Promise<number> => {
      const [row] = await postgres.admin.unsafe<{ bytes: number }[]>(
        `SELECT coalesce(sum(octet_length(frame)), 0)::float8 AS bytes FROM ${schema}.update_log`,
      );
      return row!.bytes;
    };
    await until(async () => (await bytes()) <= 1024 * 1024);
    const log = await logOf(db, "SAME");
    // 1 MB are 20 of them; they go in parts of two.
    expect(log.length).toBeGreaterThanOrEqual(18);
    expect(log.map(({ position }) => position)).toEqual(upTo(200, 200 - log.length + 1));
    expect((await logOf(db, "SAME", 3))[0]?.position).toBe(log[0]!.position);
    expect(await db.reader.updates.positions(null)).toEqual(new Map([["SAME", 200]]));
    const parts = await postgres.admin.unsafe<{ n: number }[]>(
      `SELECT count(*)::int AS n FROM ${schema}.update_log_parts`,
    );
    expect(parts[0]!.n).toBeLessThan(40);
  },
  TIMEOUT_MS,
);
