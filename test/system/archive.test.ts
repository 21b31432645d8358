/** A server with --archive: history is whole over /v1, and other tools read the files. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { failingStart } from "../support/failing-start.ts";
import { usePostgres } from "../support/postgres.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const DAY_MS = 86_400_000;
const TODAY = Math.floor(Date.now() / DAY_MS) * DAY_MS;
const DAYS = [40, 39, 8, 7, 6, 1, 0];
const PER_DAY = 500;
const dir = tempDir();
afterAll(() => dir[Symbol.dispose]());
const postgres = usePostgres();
let files = 0;

const ENGINES: [name: string, fresh: () => Promise<string>][] = [
  ["sqlite", async () => join(dir.path, `${files++}.db`)],
  ["duckdb", async () => join(dir.path, `${files++}.duckdb`)],
  ["postgres", () => postgres.freshSchema()],
];

async function saveTrades(server: RunningServer, ticker: string, days: number[]): Promise<void> {
  const data = days.flatMap((day) =>
    Array.from({ length: PER_DAY }, (_, n) => ({
      timestamp: new Date(TODAY - day * DAY_MS + n * 60_000).toISOString(),
      // Their sums are exact in whatever order, as `vw` is one.
      price: day + n / 1_024,
      ...{ size: n, ...(n % 3 === 0 ? { id: `${day}-${n}` } : {}), venue: n % 2 === 0 ? "X" : undefined },
    })),
  );
  const save = { ticker, data_type: "trade", index_col: "timestamp", data };
  expect((await server.command("save_realtime_data", save)).status).toBe(200);
}

async function answerOf(server: RunningServer, path: string): Promise<string> {
  const answer = await fetch(`${server.url}${path}`);
  expect(answer.status).toBe(200);
  return answer.text();
}

/** Page by page. */
async function pagesOf(server: RunningServer, path: string): Promise<unknown[]> {
  const rows: unknown[] = [];
  for (let token = ""; ; ) {
    const page = JSON.parse(await answerOf(server, `${path}${token}`));
    rows.push(
      ...Object.entries<unknown[]>(page.trades).flatMap(([ticker, all]) => all.map((row) => [ticker, row])),
    );
    if (page.next_page_token === null) return rows;
    token = `&page_token=${page.next_page_token}`;
  }
}

const QUESTIONS = [
  "/v1/trades?symbols=BRK%2FB,A",
  "/v1/trades?symbols=A&sort=desc&limit=2000",
  `/v1/trades?symbols=A&start=${new Date(TODAY - 39 * DAY_MS).toISOString()}&end=${new Date(TODAY - 7 * DAY_MS).toISOString()}`,
  "/v1/bars?symbols=A,BRK%2FB&timeframe=1Day",
  `/v1/bars?symbols=A&timeframe=1Week&start=${new Date(TODAY - 60 * DAY_MS).toISOString()}`,
];

describe.each(ENGINES)("%s", (_, fresh) => {
  test("what was asked before is answered alike after, whole and in pages", async () => {
    const dbFile = await fresh();
    const archive = join(dir.path, `archive-${files++}`);
    let before: string[];
    let pages: unknown[][];
    const paged = [
      "/v1/trades?symbols=A,BRK%2FB&limit=333",
      "/v1/trades?symbols=A,BRK%2FB&limit=333&sort=desc",
    ];
    {
      await using server = await startServer({ dbFile });
      for (const ticker of ["A", "BRK/B"]) await saveTrades(server, ticker, DAYS);
      before = await Promise.all(QUESTIONS.map((question) => answerOf(server, question)));
      pages = await Promise.all(paged.map((question) => pagesOf(server, question)));
      expect(pages[0]).toHaveLength(2 * DAYS.length * PER_DAY);
    }
    const flags = ["--retain", "trades=7d", "--archive", archive];
    await using server = await startServer({ dbFile, workers: 2, flags });
    await server.logged(`${2 * 3 * PER_DAY} rows removed by trades=7d`);
    const left = await server.command<{ data: unknown[] }>("get_realtime_data", {
      ticker: "A",
      data_type: "trade",
    });
    expect(left.body.data).toHaveLength(4 * PER_DAY);
    for (const [index, question] of QUESTIONS.entries())
      expect(await answerOf(server, question)).toBe(before[index]!);
    for (const [index, question] of paged.entries())
      expect(await pagesOf(server, question)).toEqual(pages[index]!);
    const since = new Date(TODAY - 50 * DAY_MS).toISOString().slice(0, 10);
    // Some of today's may be of an hour that is still to come.
    const end = new Date(TODAY + DAY_MS).toISOString().slice(0, 10);
    const query = { symbol: "A", types: "trade", start: since, end, speed: "max" };
    const replay = Subscriber.replay(server.wsUrl, query);
    await replay.untilClosed();
    expect(replay.ofType("trade")).toHaveLength(DAYS.length * PER_DAY);
    // The names of folders tell other readers the ticker and the type.
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const found = await connection.runAndReadAll(
      `SELECT ticker, type, count(*), count(id), min(price)
       FROM read_parquet('${archive}/kind=ticks/*/*/*.parquet', hive_partitioning = true)
       GROUP BY ALL ORDER BY ALL`,
    );
    expect(found.getRowsJson()).toEqual(
      ["A", "BRK/B"].map((ticker) => [ticker, "trade", String(3 * PER_DAY), String(3 * 167), 8]),
    );
    connection.closeSync();
    instance.closeSync();
    // The day of one is damaged: an answer that needs it fails, others don't.
    const [file] = readdirSync(join(archive, "kind=ticks/ticker=A/type=trade"));
    writeFileSync(join(archive, "kind=ticks/ticker=A/type=trade", file!), "no Parquet");
    const broken = await fetch(`${server.url}/v1/trades?symbols=A`);
    expect([broken.status, await broken.text()]).toEqual([503, expect.stringContaining("can't be read")]);
    await answerOf(server, "/v1/trades?symbols=BRK%2FB");
  });
});

test("killed at any moment, with late rows between, history is whole and each row is there once", async () => {
  const dbFile = join(dir.path, `${files++}.db`);
  const archive = join(dir.path, `archive-${files++}`);
  const flags = ["--retain", "trades=2d,quotes=2d", "--archive", archive];
  const days = Array.from({ length: 10 }, (_, day) => day);
  const question = "/v1/trades?symbols=A";
  let before: string;
  {
    await using server = await startServer({ dbFile });
    await saveTrades(server, "A", days);
    before = await answerOf(server, question);
  }
  const countOf = () =>
    readdirSync(archive, { recursive: true }).filter((name) => String(name).endsWith(".parquet")).length;
  mkdirSync(archive);
  for (const enough of [1, 4]) {
    await using server = await startServer({ dbFile, workers: 2, flags });
    await waitUntil("some days are archived", () => countOf() >= enough);
    const { hub, workers } = processesOf(server);
    for (const pid of [hub, ...workers]) process.kill(pid, "SIGKILL");
    // They are stored already, or were: whoever sends them again changes nothing.
    await waitUntil(
      "it answers again",
      async () => (await fetch(`${server.url}/ready`).catch(() => null))?.ok,
    );
    await saveTrades(server, "A", [9, 6, 3]);
    expect(await answerOf(server, question)).toBe(before);
  }
  await using server = await startServer({ dbFile, flags });
  await waitUntil("the old days have gone", async () => {
    const { body } = await server.command<{ data: unknown[] }>("get_realtime_data", {
      ...{ ticker: "A", data_type: "trade" },
    });
    return body.data.length === 3 * PER_DAY;
  });
  expect(await answerOf(server, question)).toBe(before);
  expect(readdirSync(archive, { recursive: true }).filter((name) => /partial$/.test(String(name)))).toEqual(
    [],
  );
});

test("bars that are all archived are those that are asked for, and none are made of trades", async () => {
  const dbFile = join(dir.path, `${files++}.db`);
  const archive = join(dir.path, `archive-${files++}`);
  const questions = ["1Min", "5Min", "1Hour", "1Day"].flatMap((timeframe) => [
    `/v1/bars?symbols=OLD&timeframe=${timeframe}`,
    `/v1/bars?symbols=*&timeframe=${timeframe}`,
    `/v1/bars?symbols=O*&timeframe=${timeframe}&layout=wide`,
  ]);
  let before: string[];
  {
    await using server = await startServer({ dbFile });
    await saveTrades(server, "OLD", [90, 89]);
    const data = Array.from({ length: 120 }, (_, n) => ({
      datetime: new Date(TODAY - 90 * DAY_MS + n * 60_000).toISOString().slice(0, 19),
      ...{ open: 1_000, high: 1_000 + n, low: 999, close: 1_001, volume: 5 },
    }));
    const save = { ticker: "OLD", interval: "1min", index_col: "datetime", data };
    expect((await server.command("save_stock_data", save)).status).toBe(200);
    before = await Promise.all(questions.map((question) => answerOf(server, question)));
    expect(before[0]).toContain("1119");
  }
  const flags = ["--retain", "trades=7d,1min=7d", "--archive", archive];
  await using server = await startServer({ dbFile, workers: 2, flags });
  await server.logged("rows removed by trades=7d");
  await server.logged("rows removed by 1min=7d");
  for (const [index, question] of questions.entries())
    expect(await answerOf(server, question)).toBe(before[index]!);
  const start = new Date(TODAY - 95 * DAY_MS).toISOString().slice(0, 10);
  const replay = Subscriber.replay(server.wsUrl, { symbol: "OLD", types: "bar", start, speed: "max" });
  await replay.untilClosed();
  expect(replay.updates).toHaveLength(120);
});

test("a folder that has gone, or is another database's, is a 503, and nothing goes into it", async () => {
  const dbFile = join(dir.path, `${files++}.db`);
  const archive = join(dir.path, `archive-${files++}`);
  const flags = ["--retain", "trades=7d", "--archive", archive];
  {
    await using server = await startServer({ dbFile });
    await saveTrades(server, "A", DAYS);
  }
  await using server = await startServer({ dbFile, workers: 2, flags });
  await server.logged("rows removed by trades=7d");
  const before = await answerOf(server, "/v1/trades?symbols=A");
  renameSync(archive, `${archive}-away`);
  for (const path of ["/trades?symbols=A", "/bars?symbols=A&timeframe=1Min", "/trades?symbols=A&limit=5"]) {
    const answer = await fetch(`${server.url}/v1${path}`);
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining("is it mounted?")]);
  }
  // What the database alone answers goes on.
  expect((await server.command("get_latest_price", { ticker: "A" })).status).toBe(200);
  renameSync(`${archive}-away`, archive);
  expect(await answerOf(server, "/v1/trades?symbols=A")).toBe(before);
  const otherFile = join(dir.path, `${files++}.db`);
  {
    await using other = await startServer({ dbFile: otherFile });
    await saveTrades(other, "OTHERS", DAYS);
  }
  const own = readdirSync(archive, { recursive: true }).length;
  await using other = await startServer({ dbFile: otherFile, flags });
  await other.logged(/Retention: nothing is removed: .*is that of another database/);
  expect(readdirSync(archive, { recursive: true })).toHaveLength(own);
  const answer = await fetch(`${other.url}/v1/trades?symbols=OTHERS`);
  expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining("another database")]);
});

test("rows stay where they can't be archived, and the log says why", async () => {
  const dbFile = join(dir.path, `${files++}.db`);
  const archive = join(dir.path, `archive-${files++}`);
  {
    await using server = await startServer({ dbFile });
    await saveTrades(server, "A", DAYS);
  }
  // Where the folder of the kind would be.
  mkdirSync(archive);
  writeFileSync(join(archive, "kind=ticks"), "");
  const flags = ["--retain", "trades=7d", "--archive", archive];
  await using server = await startServer({ dbFile, flags });
  await server.logged(/Retention: trades=7d of A: .*(ENOTDIR|EEXIST)/);
  const { body } = await server.command<{ data: unknown[] }>("get_realtime_data", {
    ticker: "A",
    data_type: "trade",
  });
  expect(body.data).toHaveLength(DAYS.length * PER_DAY);
});

test("a file isn't taken for a folder", async () => {
  const archive = join(dir.path, "a-file");
  writeFileSync(archive, "");
  const { code, output } = await failingStart(["--db-file", join(dir.path, "x.db"), "--archive", archive]);
  expect(code).not.toBe(0);
  expect(output).toContain(`--archive ${archive}: this is no folder`);
});

test.skipIf(process.platform !== "linux")(
  "DuckDB is loaded by the first read of a file alone (asks /proc, which Linux has)",
  async () => {
    const archive = join(dir.path, `archive-${files++}`);
    const dbFile = join(dir.path, `${files++}.db`);
    await using server = await startServer({ dbFile, flags: ["--archive", archive] });
    await saveTrades(server, "A", [1]);
    await answerOf(server, "/v1/trades?symbols=A");
    const { hub, workers } = processesOf(server);
    const hasDuckDb = (pid: number) => readFileSync(`/proc/${pid}/maps`, "utf8").includes("libduckdb");
    expect([hub, server.pid, ...workers].filter(hasDuckDb)).toEqual([]);
  },
);
