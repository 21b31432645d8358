/** User-written SQL through real runner processes on a real SQLite file. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryBoard } from "../../src/memory/memory-board.ts";
import { RequestError } from "../../src/protocol/errors.ts";
import { executeSql, type WriteLease, wrapAnswer } from "../../src/sql/execute.ts";
import { createRunnerPool, type RunnerPool, type RunnerPoolOptions } from "../../src/sql/runner-pool.ts";
import type { SqlMode, SqlParam, SqlReply } from "../../src/storage/user-sql-contract.ts";
import { readProc } from "../support/processes.ts";
import { childrenOf } from "../support/server-processes.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

const FIXTURES = join(import.meta.dir, "..", "fixtures");
const REAL = [process.execPath, "--no-orphans", join(FIXTURES, "sql-runner-main.ts")];
const SCRIPTED = [process.execPath, "--no-orphans", join(FIXTURES, "sql-runner-scripted.ts")];
const ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c";
const NUMBERS = "with recursive c(x) as (select 1 union all select x + 1 from c where x < ?)";
const DEADLINE_MS = 60_000;
/** A time limit that is met, on a runner that has been started before. */
const LIMIT_MS = 2_000;

let folder = "";
let owner: Database;
let pools: RunnerPool[] = [];
let logged: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sql-runner-"));
  owner = new Database(join(folder, "stock.db"));
  owner.run("PRAGMA journal_mode = WAL");
  owner.run("CREATE TABLE t(id INTEGER PRIMARY KEY, price REAL, data BLOB)");
  owner.run("INSERT INTO t VALUES (1, 1.5, x'00ff'), (9007199254740993, 2.5, null)");
  logged = [];
});

afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.close()));
  pools = [];
  owner.close(true);
  rmSync(folder, { recursive: true });
  expect(runnerPids()).toEqual([]);
});

function openPool(options: Partial<RunnerPoolOptions> = {}): RunnerPool {
  const pool = createRunnerPool({
    command: REAL,
    env: { ...process.env, STOCK_DB_TEST_FILE: join(folder, "stock.db") },
    size: 2,
    timeoutMs: DEADLINE_MS,
    maxRows: 10_000_000,
    board: new MemoryBoard(null),
    memoryBytesMax: 1.5 * 2 ** 30,
    log: (level, message) => logged.push(`${level} ${message}`),
    ...options,
  });
  pools.push(pool);
  return pool;
}

function run(
  pool: RunnerPool,
  sql: string,
  params: SqlParam[] = [],
  mode: SqlMode = "read",
): Promise<SqlReply> {
  return pool.run({ sql, params, mode });
}

/** The same with the limit. */
async function runLimited(
  pool: RunnerPool,
  sql: string,
  params: SqlParam[] = [],
  mode: SqlMode = "read",
): Promise<SqlReply> {
  const session = await pool.open(undefined, LIMIT_MS);
  try {
    return await session.run({ sql, params, mode });
  } finally {
    session.close();
  }
}

/** As many runners as the pool may have, for a limit that shall not pass while one starts. */
async function openStarted(options: Partial<RunnerPoolOptions> = {}): Promise<RunnerPool> {
  const pool = openPool(options);
  const { size } = pool.figures();
  const statement = options.command === SCRIPTED ? "now return" : "select 1";
  await Promise.all(Array.from({ length: size }, () => run(pool, statement)));
  await until(() => pool.figures().idle === size);
  return pool;
}

async function textOf(reply: Promise<SqlReply>): Promise<string> {
  const answer = await reply;
  if (answer === "needs-write") throw new Error(answer);
  return await new Response(answer.body).text();
}

async function failureOf(promise: Promise<unknown>): Promise<RequestError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RequestError)) throw new Error(`expected a RequestError, got ${error}`);
  return error;
}

/** Runner processes that this process has started. */
function runnerPids(parent = process.pid): number[] {
  return childrenOf(parent).filter((pid) => commandOf(pid).includes("sql-runner-"));
}

function commandOf(pid: number): string {
  return readProc(pid, "cmdline");
}

/** Hundredths of a second of processor time. */
function cpuTicks(pid: number): number {
  return Number(readProc(pid, "stat").split(") ")[1]?.split(" ")[11] ?? 0);
}

describe("the way of a statement", () => {
  test("values arrive exactly", async () => {
    const pool = openPool();
    expect(await textOf(run(pool, "select * from t"))).toBe(
      '[{"id":1,"price":1.5,"data":"AP8="},{"id":9007199254740993,"price":2.5,"data":null}]',
    );
    const params = [9007199254740993n, -(2n ** 63n), 1.5, "é😀", null, true];
    expect(await textOf(run(pool, "select ?1 a, :b b, @c c, $d d, ? e, ? f", params))).toBe(
      '[{"a":9007199254740993,"b":-9223372036854775808,"c":1.5,"d":"é😀","e":null,"f":1}]',
    );
  });

  test("megabytes in and out", async () => {
    const pool = openPool();
    const long = "é".repeat(3_000_000);
    expect(await textOf(run(pool, "select ? as a", [long]))).toBe(`[{"a":"${long}"}]`);
    expect(await textOf(run(pool, `select length('${long}') as n`))).toBe('[{"n":3000000}]');
    // Answers around the size from which on they are streamed.
    for (const length of [262_133, 262_134, 262_135, 262_136, 524_300]) {
      const answer = await textOf(run(pool, "select printf('%.*c', ?, 'x') as a", [length]));
      expect(answer).toBe(`[{"a":"${"x".repeat(length)}"}]`);
    }
    expect(pool.figures()).toMatchObject({ idle: 1, busy: 0, killed: 0 });
  });

  test("mistakes are 400 and leave the runner usable", async () => {
    const pool = openPool({ maxRows: 10 });
    expect(await failureOf(run(pool, "selct"))).toMatchObject({ status: 400 });
    expect(await failureOf(run(pool, "select 1; select 2"))).toMatchObject({ status: 400 });
    expect(await failureOf(run(pool, "select ?", []))).toMatchObject({ status: 400 });
    const many = await failureOf(run(pool, `${NUMBERS} select x from c`, [11]));
    expect(many).toMatchObject({ status: 400, message: "execute_sql: query returned more than 10 rows" });
    expect(many.hint).toContain("--sql-max-rows");
    expect(await textOf(run(pool, "select 1 as a"))).toBe('[{"a":1}]');
    expect(runnerPids()).toHaveLength(1);
  });

  test("an error that quotes megabytes of the statement is cut", async () => {
    const failure = await failureOf(run(openPool(), `select ${"x".repeat(2_000_000)}`));
    expect(failure.status).toBe(400);
    expect(failure.message.length).toBeLessThan(3_000);
  });
});

describe("the time limit", () => {
  const long: [what: string, sql: string][] = [
    ["an endless recursion", ENDLESS],
    ["a join of thousands of millions", `${NUMBERS} select sum(a.x * b.x * d.x) from c a, c b, c d`],
    ["one long step inside of SQLite", "select instr(zeroblob(20000000), zeroblob(10000000) || x'01')"],
  ];
  test.each(long)("%s is stopped, while others run", async (_what, sql) => {
    const pool = await openStarted();
    const params = sql.includes("?") ? [100_000] : [];
    const slow = failureOf(runLimited(pool, sql, params));
    await until(() => pool.figures().busy === 1);
    expect(await textOf(run(pool, "select 1 as a"))).toBe('[{"a":1}]');
    expect(pool.figures()).toMatchObject({ busy: 1, idle: 1 });
    expect(await slow).toMatchObject({ status: 504, message: "execute_sql: stopped at the limit of 2 s" });
    await until(() => pool.figures().killed === 1);
    expect(logged.join()).toContain("killed: time limit");
    expect(await Promise.all([1, 2].map((n) => textOf(run(pool, "select ? as a", [n]))))).toEqual([
      '[{"a":1}]',
      '[{"a":2}]',
    ]);
  });

  test("waiting for a runner counts", async () => {
    const pool = await openStarted({ size: 1 });
    const first = failureOf(runLimited(pool, ENDLESS));
    await until(() => pool.figures().busy === 1);
    await Bun.sleep(100);
    const second = failureOf(runLimited(pool, ENDLESS));
    expect(pool.figures()).toMatchObject({ size: 1, busy: 1, idle: 0, waiting: 1 });
    expect((await first).status).toBe(504);
    expect((await second).status).toBe(504);
    expect(pool.figures().waiting).toBe(0);
    expect(await textOf(run(pool, "select 1 as a"))).toBe('[{"a":1}]');
  });

  test("a writing statement that is stopped has changed nothing, and holds no lock", async () => {
    const pool = await openStarted({ size: 1 });
    const sql =
      "with recursive c(x) as (select 10 union all select x + 1 from c) insert into t(id) select x from c";
    const failure = await failureOf(runLimited(pool, sql, [], "write"));
    expect(failure.status).toBe(504);
    expect(failure.message).toEndWith("rolled back, nothing changed");
    owner.run("INSERT INTO t(id) VALUES (3)");
    expect(owner.query("SELECT count(*) AS n FROM t").get()).toEqual({ n: 3 });
  });

  test("a commit under way is given a moment more", async () => {
    const pool = await openStarted({ command: SCRIPTED, size: 1 });
    expect(await textOf(runLimited(pool, `committing sleep ${LIMIT_MS + 1_000}`, [], "write"))).toBe("[]");
    expect(pool.figures().killed).toBe(0);
  });

  test("a commit that doesn't end leaves the outcome unknown", async () => {
    const pool = await openStarted({ command: SCRIPTED, size: 1 });
    const failure = await failureOf(runLimited(pool, "committing sleep 600000", [], "write"));
    expect(failure.status).toBe(504);
    expect(failure.message).toContain("outcome unknown");
  });
});

describe("a client that leaves", () => {
  test("stops its statement", async () => {
    const pool = openPool();
    const client = new AbortController();
    const gone = failureOf(pool.run({ sql: ENDLESS, params: [], mode: "read", signal: client.signal }));
    await until(() => runnerPids().some((pid) => cpuTicks(pid) > 20));
    client.abort();
    expect((await gone).status).toBe(499);
    await until(() => pool.figures().busy === 0);
    expect(pool.figures().killed).toBe(1);
  });

  test("stops waiting for a runner", async () => {
    const pool = openPool({ size: 1 });
    const first = new AbortController();
    const busy = failureOf(pool.run({ sql: ENDLESS, params: [], mode: "read", signal: first.signal }));
    const client = new AbortController();
    const gone = failureOf(pool.run({ sql: "select 1", params: [], mode: "read", signal: client.signal }));
    await until(() => pool.figures().waiting === 1);
    client.abort();
    expect((await gone).status).toBe(499);
    expect(pool.figures()).toMatchObject({ waiting: 0, busy: 1 });
    first.abort();
    expect((await busy).status).toBe(499);
  });

  test("leaves before its statement has begun", async () => {
    const pool = openPool();
    const client = new AbortController();
    const gone = failureOf(pool.run({ sql: ENDLESS, params: [], mode: "read", signal: client.signal }));
    client.abort();
    expect((await gone).status).toBe(499);
    expect(pool.figures()).toMatchObject({ killed: 0 });
  });

  test("was gone before", async () => {
    const pool = openPool();
    const signal = AbortSignal.abort();
    expect((await failureOf(pool.run({ sql: "select 1", params: [], mode: "read", signal }))).status).toBe(
      499,
    );
    expect(runnerPids()).toEqual([]);
  });
});

describe("runners that fail", () => {
  test("one that is killed from outside is replaced", async () => {
    const pool = openPool({ size: 1 });
    const broken = failureOf(run(pool, ENDLESS));
    await until(() => runnerPids().length === 1);
    process.kill(runnerPids()[0]!, "SIGKILL");
    expect(await broken).toMatchObject({ status: 503, retryAfterS: 1 });
    expect(await textOf(run(pool, "select 1 as a"))).toBe('[{"a":1}]');
    // Also an idle one.
    process.kill(runnerPids()[0]!, "SIGKILL");
    await until(() => pool.figures().idle === 0);
    expect(await textOf(run(pool, "select 1 as a"))).toBe('[{"a":1}]');
    expect(logged.filter((line) => line.includes("broke off"))).toHaveLength(2);
  });

  test("what became of a write is told from where it died", async () => {
    const pool = openPool({ command: SCRIPTED });
    const before = await failureOf(run(pool, "before die", [], "write"));
    expect(before).toMatchObject({ status: 503, retryAfterS: 1 });
    expect(before.message).toContain("nothing changed");
    const within = await failureOf(run(pool, "committing die", [], "write"));
    expect(within).toMatchObject({ status: 503, retryAfterS: undefined });
    expect(within.message).toContain("outcome unknown");
  });

  test("one that prints something else is not trusted", async () => {
    const pool = openPool({ command: SCRIPTED });
    expect((await failureOf(run(pool, "now print"))).status).toBe(503);
    expect(await textOf(run(pool, "now return"))).toBe("[]");
  });

  test("a command that can't be started, or ends at once, is 503", async () => {
    const missing = openPool({ command: [join(folder, "missing")] });
    expect(await failureOf(run(missing, "select 1"))).toMatchObject({ status: 503, retryAfterS: 1 });
    const ending = openPool({ command: [process.execPath, "-e", "process.exit(3)"] });
    const failure = await failureOf(run(ending, "select 1"));
    expect(failure.status).toBe(503);
    expect(failure.message).toContain("exit code 3");
    expect(missing.figures()).toMatchObject({ busy: 0, idle: 0, waiting: 0 });
  });

  test("one that takes too much memory is ended", async () => {
    const pool = openPool({ memoryBytesMax: 250 * 2 ** 20 });
    const sql = "select instr(zeroblob(300000000), zeroblob(100000000) || x'01')";
    const failure = await failureOf(run(pool, sql));
    expect(failure).toMatchObject({ status: 400 });
    expect(failure.message).toMatch(/it took \d+ MB of memory; all SQL together may take 250 MB/);
  });

  test("too many that wait are turned away", async () => {
    const pool = await openStarted({ size: 1 });
    const busy = failureOf(runLimited(pool, ENDLESS));
    const waiting = Array.from({ length: 256 }, () => failureOf(runLimited(pool, "select 1")));
    const { status, retryAfterS } = await failureOf(runLimited(pool, "select 1"));
    expect({ status, retryAfterS }).toEqual({ status: 503, retryAfterS: 1 });
    expect((await busy).status).toBe(504);
    expect(new Set((await Promise.all(waiting)).map((failure) => failure.status))).toEqual(new Set([504]));
  });
});

describe("large answers", () => {
  const ROWS = 500_000;
  const SQL = `${NUMBERS} select x, 'a text of some length' as name from c`;

  test("flow at the pace of the client that reads them, in little memory", async () => {
    const pool = openPool({ size: 1 });
    using server = Bun.serve({
      port: 0,
      idleTimeout: 60,
      async fetch() {
        const answer = await run(pool, SQL, [ROWS]);
        if (answer === "needs-write") throw new Error(answer);
        return new Response(wrapAnswer("select", answer));
      },
    });
    const memoryBefore = process.memoryUsage.rss();
    const slow = connect(server.port!, "127.0.0.1");
    slow.pause();
    slow.write("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    await until(() => pool.figures().busy === 1);
    // A process that was just made has its name a moment later.
    await until(() => runnerPids().length === 1);
    const runner = runnerPids()[0]!;
    // The runner has all of it, and nearly nothing of it leaves: what it has written comes to rest.
    let written = 0;
    await until(() => {
      const before = written;
      written = bytesWritten(runner);
      if (written < 262_144 || written !== before) return false;
      Bun.sleepSync(50);
      return bytesWritten(runner) === written;
    });
    expect(written).toBeLessThan(16 * 2 ** 20);
    expect(process.memoryUsage.rss() - memoryBefore).toBeLessThan(60 * 2 ** 20);
    expect(pool.figures().busy).toBe(1);

    // Then it reads on, and everything comes.
    let bytes = 0;
    let tail = "";
    slow.on("data", (data: Buffer) => {
      bytes += data.length;
      tail = (tail + data.toString("latin1")).slice(-80);
    });
    slow.resume();
    await new Promise((resolve) => slow.on("close", resolve));
    expect(bytes).toBeGreaterThan(ROWS * 40);
    expect(tail).toContain(`{"x":${ROWS},"name":"a text of some length"}]`);
    await until(() => pool.figures().idle === 1);
    expect(runnerPids()).toEqual([runner]);
    expect(await textOf(run(pool, "select 1 as a"))).toBe('[{"a":1}]');
  });

  test("a client that leaves in the middle gives the runner back", async () => {
    const pool = openPool({ size: 1 });
    const answer = await run(pool, SQL, [100_000]);
    if (answer === "needs-write" || answer.body instanceof Uint8Array) throw new Error("expected a stream");
    const reader = answer.body.getReader();
    await reader.read();
    await reader.cancel();
    expect(await textOf(run(pool, "select 1 as a"))).toBe('[{"a":1}]');
  });

  test("a runner that ends in the middle ends the stream with an error", async () => {
    const pool = openPool({ size: 1 });
    const answer = await run(pool, SQL, [100_000]);
    if (answer === "needs-write" || answer.body instanceof Uint8Array) throw new Error("expected a stream");
    process.kill(runnerPids()[0]!, "SIGKILL");
    await expect(new Response(answer.body).text()).rejects.toThrow("ended before the end");
    expect(await textOf(run(pool, "select 1 as a"))).toBe('[{"a":1}]');
  });

  function bytesWritten(pid: number): number {
    return Number(/^wchar: (\d+)$/m.exec(readProc(pid, "io"))?.[1] ?? 0);
  }
});

describe("who may write, and when", () => {
  class Lease implements WriteLease {
    taken = 0;
    out = 0;
    async acquire(signal: AbortSignal): Promise<{ release(): Promise<void> }> {
      signal.throwIfAborted();
      this.taken++;
      this.out++;
      return {
        release: async () => {
          this.out--;
        },
      };
    }
  }

  const base = { params: [] as SqlParam[], allowWrite: true };

  test("raw reads without the lease and writes with it", async () => {
    const pool = openPool();
    const lease = new Lease();
    const deps = { pool, lease };
    const read = await executeSql({ ...base, sql: "select 1 as a", queryType: "raw" }, deps);
    expect(read.rows).toBe(1);
    expect(lease.taken).toBe(0);
    const sql = "insert into t(id) values (5) returning id";
    const written = await executeSql({ ...base, sql, queryType: "raw" }, deps);
    expect(await new Response(wrapAnswer("raw", written)).text()).toBe(
      '{"message":"Raw SQL query executed.","rows_changed":1,"data":[{"id":5}]}',
    );
    expect(lease).toMatchObject({ taken: 1, out: 0 });
    expect(owner.query("SELECT count(*) AS n FROM t").get()).toEqual({ n: 3 });
  });

  test("select never writes", async () => {
    const lease = new Lease();
    const deps = { pool: openPool(), lease };
    for (const sql of [
      "insert into t(id) values (5) returning *",
      "with x as (select 5 as i) insert into t(id) select i from x",
      "create table n(a)",
      "delete from t",
      "vacuum",
    ]) {
      const failure = await failureOf(executeSql({ ...base, sql, queryType: "select" }, deps));
      expect(failure.status).toBe(400);
      expect(failure.message).toContain("needs query_type 'raw'");
    }
    expect(lease.taken).toBe(0);
    expect(owner.query("SELECT count(*) AS n FROM t").get()).toEqual({ n: 2 });
  });

  test("a request that may not write is 403", async () => {
    const deps = { pool: openPool(), lease: new Lease() };
    const request = { ...base, sql: "delete from t", queryType: "raw", allowWrite: false } as const;
    expect((await failureOf(executeSql(request, deps))).status).toBe(403);
    expect(deps.lease.taken).toBe(0);
  });

  test("the lease comes back when the statement fails, is stopped, or its runner dies", async () => {
    const lease = new Lease();
    const deps = { pool: await openStarted({ size: 1 }), lease };
    const fail = (sql: string): Promise<RequestError> =>
      failureOf(executeSql({ ...base, sql, queryType: "raw", timeoutMs: LIMIT_MS }, deps));
    expect((await fail("insert into t(id) values (1)")).status).toBe(400);
    const endless = "with recursive c(x) as (select 10 union all select x + 1 from c)";
    expect((await fail(`insert into t(id) ${endless} select x from c`)).status).toBe(504);
    expect(lease).toMatchObject({ taken: 2, out: 0 });
  });

  test("waiting for the lease ends at the limit, and when the client leaves", async () => {
    const never: WriteLease = {
      acquire: (signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    };
    const deps = { pool: await openStarted({ size: 1 }), lease: never };
    const request = { ...base, sql: "delete from t", queryType: "raw", timeoutMs: LIMIT_MS } as const;
    const late = await failureOf(executeSql(request, deps));
    expect(late).toMatchObject({ status: 504 });
    expect(late.message).toContain("nothing changed");
    const client = AbortSignal.timeout(1_000);
    expect((await failureOf(executeSql({ ...request, signal: client }, deps))).status).toBe(499);
    expect(deps.pool.figures()).toMatchObject({ killed: 0 });
  });

  test("every kind of answer has its envelope", async () => {
    const deps = { pool: openPool(), lease: new Lease() };
    const answer = async (sql: string, queryType: "select" | "raw"): Promise<unknown> =>
      await new Response(wrapAnswer(queryType, await executeSql({ ...base, sql, queryType }, deps))).json();
    expect(await answer("select 1 as a", "select")).toEqual({ data: [{ a: 1 }] });
    expect(await answer("select 1 as a where 0", "select")).toEqual({
      message: "Query executed, no data returned.",
      data: [],
    });
    expect(await answer("create table n(a)", "raw")).toEqual({
      message: "Raw SQL query executed.",
      rows_changed: 0,
      data: [],
    });
    const large = (await answer(`${NUMBERS.replace("?", "100000")} select x from c`, "select")) as {
      data: { x: number }[];
    };
    expect(large.data.at(-1)).toEqual({ x: 100_000 });
  });
});

describe("the end", () => {
  test("of idle runners one is kept", async () => {
    const pool = openPool({ size: 2, idleEndMs: 1_000 });
    await Promise.all([run(pool, "select 1"), run(pool, "select 1")]);
    await until(() => pool.figures().idle === 2);
    await until(() => runnerPids().length === 1);
    await Bun.sleep(1_500);
    expect(pool.figures()).toMatchObject({ idle: 1, busy: 0, killed: 0 });
    expect(logged).toEqual([]);
  });

  test("close ends idle, busy and waiting ones, and later requests are turned away", async () => {
    const pool = openPool({ size: 2 });
    await Promise.all([run(pool, "select 1"), run(pool, "select 1")]);
    await until(() => pool.figures().idle === 2);
    const busy = failureOf(run(pool, ENDLESS));
    await until(() => pool.figures().busy === 1);
    await pool.close();
    expect(runnerPids()).toEqual([]);
    expect((await busy).status).toBe(503);
    expect((await failureOf(run(pool, "select 1"))).status).toBe(503);
    expect(pool.figures()).toMatchObject({ idle: 0, busy: 0, waiting: 0 });
  });

  test("signals to the whole group don't stop a statement", async () => {
    const pool = openPool({ command: SCRIPTED, size: 1 });
    await textOf(run(pool, "now return"));
    const [pid] = runnerPids();
    const answer = textOf(run(pool, "now sleep 500"));
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(pid!, signal);
    expect(await answer).toBe("[]");
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(pid!, signal);
    expect(await textOf(run(pool, "now return"))).toBe("[]");
    expect(runnerPids()).toEqual([pid!]);
  });

  test("a runner doesn't outlive a killed worker, not even in the middle of a statement", async () => {
    const worker = Bun.spawn([process.execPath, join(FIXTURES, "sql-pool-main.ts")], { stdout: "pipe" });
    let runner = 0;
    try {
      await worker.stdout.getReader().read();
      runner = runnerPids(worker.pid)[0] ?? 0;
      expect(runner).toBeGreaterThan(0);
    } finally {
      worker.kill("SIGKILL");
    }
    await worker.exited;
    await until(() => !commandOf(runner).includes("sql-runner-"));
  });
});
