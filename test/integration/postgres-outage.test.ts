/**
 * PostgreSQL that crashes, restarts, freezes, or loses an answer on the way: what was answered is
 * there, once, and the pool heals.
 */
import { expect, test } from "bun:test";
import { RequestError } from "../../src/protocol/errors.ts";
import type { SaveTicks, TickRow } from "../../src/storage/contract.ts";
import {
  openPostgres,
  type PostgresDatabase,
  type PostgresSettings,
} from "../../src/storage/postgres/open.ts";
import { rowsOf } from "../support/answered.ts";
import { usePostgres } from "../support/postgres.ts";
import { at, ticks } from "../support/saves.ts";
import { proxyTo } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const TIMEOUT_MS = 240_000;
/** No commit but those of the test. */
const NEVER_MS = 24 * 3_600_000;
const CRASHES = 20;
/**
 * On a machine that does much else; a request that isn't refused at once waits for ever, or for a
 * time limit of its own.
 */
const AT_ONCE_MS_MAX = 25_000;

const postgres = usePostgres();

const open = (dbFile: string, more: Partial<PostgresSettings> = {}): Promise<PostgresDatabase> =>
  openPostgres({ dbFile, durability: "full", dbPoolSize: 4, trimPauseMs: NEVER_MS, ...more });

const tick = (price: number): SaveTicks => ticks("A", [[at(0), price]]);

async function prices(db: PostgresDatabase, ticker = "A"): Promise<number[]> {
  const rows = await rowsOf(db.reader.rows({ kind: "ticks", ticker, part: "trade", from: null, to: null }));
  return rows.map((row) => row.price as number);
}

async function answers(db: PostgresDatabase): Promise<boolean> {
  try {
    await db.reader.probe();
    return true;
  } catch (error) {
    expect(error).toMatchObject({ status: 503, retryAfterS: 1 });
    return false;
  }
}

test(
  "crashes under load: every answered tick is there, none twice, and every failure is a 503",
  async () => {
    await using db = await open(await postgres.freshSchema());
    const answered: number[] = [];
    const failures: unknown[] = [];
    let next = 0;
    let stopping = false;
    const writers = Array.from({ length: 3 }, async () => {
      while (!stopping) {
        const price = next++;
        try {
          const [outcome] = await db.writer.commit([tick(price)]);
          expect(outcome).toMatchObject({ ok: true });
          answered.push(price);
        } catch (error) {
          failures.push(error);
          await Bun.sleep(5);
        }
      }
    });
    const readers = Array.from({ length: 3 }, async () => {
      while (!stopping) {
        try {
          await db.reader.latestPrice("A");
        } catch (error) {
          failures.push(error);
          await Bun.sleep(5);
        }
      }
    });
    for (let round = 0; round < CRASHES; round++) {
      const before = answered.length;
      await until(async () => answered.length > before + 20);
      if (round % 2 === 0) await postgres.crash();
      else await postgres.stop();
      await postgres.start();
    }
    const before = answered.length;
    await until(async () => answered.length > before + 20);
    stopping = true;
    await Promise.all([...writers, ...readers]);

    for (const failure of failures) {
      expect(failure).toBeInstanceOf(RequestError);
      expect(failure).toMatchObject({ status: 503, retryAfterS: 1 });
    }
    const stored = await prices(db);
    expect(new Set(stored).size).toBe(stored.length);
    const there = new Set(stored);
    expect(answered.filter((price) => !there.has(price))).toEqual([]);
    // The pool's own work holds one for a moment.
    await until(async () => (await db.reader.pool()).active_connections === 0);
    expect(await db.reader.pool()).toMatchObject({ waiting_requests: 0 });
    expect((await db.reader.pool()).stale_connections).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test(
  "connections that died while idle cost no request",
  async () => {
    await using db = await open(await postgres.freshSchema());
    await db.writer.commit([tick(1)]);
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 8 }, () => db.reader.latestPrice("A")));
      await postgres.admin.unsafe(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stock-db-server'",
      );
      expect(await db.reader.latestPrice("A")).toBe(1);
      expect(await db.writer.commit([tick(1)])).toMatchObject([{ ok: true, stored: 0, position: null }]);
    }
    expect((await db.reader.pool()).stale_connections).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test(
  "the figures of the pool become those of now, also when nobody has asked for anything since it went or came back",
  async () => {
    await using db = await open(await postgres.freshSchema());
    expect(await db.reader.pool()).toMatchObject({
      available_connections: 4,
      connected: true,
      last_error: null,
    });
    await postgres.stop();
    await until(() => {
      const figures = db.reader.pool();
      return !figures.connected && figures.active_connections === 0 && figures.available_connections === 0;
    });
    expect(db.reader.pool().last_error).toMatch(/\(\w+\)$/);
    await postgres.start();
    await until(() => {
      const figures = db.reader.pool();
      return figures.connected === true && figures.available_connections === 4;
    });
    expect(db.reader.pool().last_error).toBeNull();
  },
  TIMEOUT_MS,
);

test(
  "while it is away, a read, a save, a probe and a statement are 503 at once; afterwards all work again",
  async () => {
    await using db = await open(await postgres.freshSchema());
    await postgres.stop();
    const asked = performance.now();
    const request = { sql: "select 1", params: [], mode: "read" as const, maxRows: 1 };
    const attempts = await Promise.allSettled([
      db.reader.latestPrice("A"),
      db.writer.commit([tick(1)]),
      db.reader.probe(),
      db.sql.run(request, { timeoutMs: 30_000 }),
    ]);
    for (const attempt of attempts)
      expect(attempt).toMatchObject({ status: "rejected", reason: { status: 503, retryAfterS: 1 } });
    await until(async () => !(await answers(db)));
    expect(performance.now() - asked).toBeLessThan(AT_ONCE_MS_MAX);
    await postgres.start();
    await until(() => answers(db));
    expect(await db.writer.commit([tick(1)])).toMatchObject([
      { ok: true, stored: 1, position: expect.any(Number) },
    ]);
    expect(await db.sql.run(request, { timeoutMs: 30_000 })).toMatchObject({ status: "rows", rows: 1 });
  },
  TIMEOUT_MS,
);

test(
  "one that answers nothing any more is 503 within a bound, and what it had open is given up",
  async () => {
    await using db = await open(await postgres.freshSchema(), {
      statementTimeoutMs: 2_500,
      connectTimeoutMs: 2_500,
    });
    await db.writer.commit([tick(1)]);
    const large = Array.from(
      { length: 3_000 },
      (_, i): TickRow => [
        `2024-01-03 10:00:00.${String(i).padStart(6, "0")}`,
        i,
        null,
        null,
        null,
        null,
        null,
        null,
      ],
    );
    await db.writer.commit([{ ...tick(0), ticker: "B", rows: large }]);
    const streamed = await db.reader.rows({
      kind: "ticks",
      ticker: "B",
      part: "trade",
      from: null,
      to: null,
    });
    if (streamed.empty || !("chunks" in streamed)) throw new Error("expected chunks");
    const chunks = streamed.chunks[Symbol.asyncIterator]();
    await chunks.next();
    await postgres.freeze();
    try {
      await Promise.all([
        expect(db.reader.latestPrice("A")).rejects.toMatchObject({ status: 503 }),
        expect(chunks.next()).rejects.toMatchObject({ status: 503 }),
        expect(db.writer.commit([tick(2)])).rejects.toMatchObject({ status: 503 }),
      ]);
    } finally {
      await postgres.thaw();
    }
    await until(() => answers(db));
    expect(await db.writer.commit([tick(3)])).toMatchObject([
      { ok: true, stored: 1, position: expect.any(Number) },
    ]);
    await until(async () => (await db.reader.pool()).active_connections === 0);
  },
  TIMEOUT_MS,
);

test(
  "a probe of one that stands still is 503 long before its connection is given up, and the figures say so at once",
  async () => {
    await using db = await open(await postgres.freshSchema());
    await db.reader.probe();
    await postgres.freeze();
    try {
      for (let i = 0; i < 2; i++) {
        await expect(db.reader.probe()).rejects.toMatchObject({
          status: 503,
          message: "the database gives no answer for 2 s",
        });
      }
      const figures = db.reader.pool();
      expect(figures).toMatchObject({ connected: false, last_error: expect.stringContaining("no answer") });
    } finally {
      await postgres.thaw();
    }
    await until(() => db.reader.pool().connected === true);
    await db.reader.probe();
    expect(db.reader.pool()).toMatchObject({ connected: true, last_error: null });
  },
  TIMEOUT_MS,
);

test(
  "a commit whose answer is lost is looked up, not repeated: its outcomes are those of the first time",
  async () => {
    using proxy = proxyTo(postgres.port);
    const direct = await postgres.freshSchema();
    await using db = await open(direct.replace(`:${postgres.port}/`, `:${proxy.port}/`));
    proxy.cutAt("COMMIT", "after");
    // Repeated, it would find its own row and say that the key is taken.
    expect(await db.writer.commit([ticks("A", [[at(0), 1, 0]], "error")])).toMatchObject([
      { ok: true, stored: 1, position: expect.any(Number) },
    ]);
    expect(proxy.cuts).toBe(1);
    proxy.cutAt("COMMIT", "before");
    expect(await db.writer.commit([tick(2)])).toMatchObject([
      { ok: true, stored: 1, position: expect.any(Number) },
    ]);
    proxy.cutAt("2024-01-02 10:00:00", "before");
    expect(await db.writer.commit([tick(3)])).toMatchObject([
      { ok: true, stored: 1, position: expect.any(Number) },
    ]);
    expect(proxy.cuts).toBe(3);
    expect(await prices(db)).toEqual([1, 2, 3]);
  },
  TIMEOUT_MS,
);

test(
  "a statement of a user whose commit is lost says that its outcome is unknown, and is not repeated",
  async () => {
    using proxy = proxyTo(postgres.port);
    const direct = await postgres.freshSchema();
    await using db = await open(direct.replace(`:${postgres.port}/`, `:${proxy.port}/`));
    const write = (sql: string) =>
      db.sql.run({ sql, params: [], mode: "write", maxRows: 10 }, { timeoutMs: 30_000 });
    await write("create table counted (n int)");
    proxy.cutAt("COMMIT", "after");
    const error = await write("insert into counted values (1)").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ status: 503, retryAfterS: undefined });
    expect((error as Error).message).toContain("outcome unknown");
    const rows = await db.sql.run(
      { sql: "select count(*) as n from counted", params: [], mode: "read", maxRows: 10 },
      { timeoutMs: 30_000 },
    );
    expect(rows).toMatchObject({ status: "rows", rows: 1 });
  },
  TIMEOUT_MS,
);
