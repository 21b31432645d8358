/** Rows that are older than `--retain` says go, and nothing else does, on each engine. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { copySeries } from "../support/copying.ts";
import { failingStart } from "../support/failing-start.ts";
import { usePostgres } from "../support/postgres.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const DAY_MS = 86_400_000;
const dir = tempDir();
afterAll(() => dir[Symbol.dispose]());
const postgres = usePostgres();
let files = 0;
const TODAY = Math.floor(Date.now() / DAY_MS) * DAY_MS;
/** Noon of a day so many days ago. */
const ago = (days: number, minute = 0): string =>
  new Date(TODAY - days * DAY_MS + DAY_MS / 2 + minute * 60_000).toISOString();

const ENGINES: [name: string, fresh: () => Promise<string>][] = [
  ["sqlite", async () => join(dir.path, `${files++}.db`)],
  ["duckdb", async () => join(dir.path, `${files++}.duckdb`)],
  ["postgres", () => postgres.freshSchema()],
];

async function saveTicks(
  server: RunningServer,
  ticker: string,
  type: string,
  stamps: string[],
): Promise<number> {
  const { status, body } = await server.command<{ seq: number }>("save_realtime_data", {
    ...{ ticker, data_type: type, index_col: "timestamp" },
    data: stamps.map((timestamp, at) => ({ timestamp, price: 1 + at, size: 1 })),
  });
  expect(status).toBe(200);
  return body.seq;
}

async function saveBars(server: RunningServer, interval: string, stamps: string[]): Promise<void> {
  const column = interval === "daily" ? "date" : "datetime";
  const { status } = await server.command("save_stock_data", {
    ...{ ticker: "A", interval, index_col: column },
    data: stamps.map((stamp) => ({ [column]: stamp, open: 1, high: 2, low: 1, close: 2, volume: 1 })),
  });
  expect(status).toBe(200);
}

/** How many days ago the stored rows are. */
async function daysOf(server: RunningServer, ticker: string, type: string): Promise<number[]> {
  const { body } = await server.command<{ data?: { timestamp: string }[] }>("get_realtime_data", {
    ...{ ticker, data_type: type },
  });
  return daysAgo((body.data ?? []).map(({ timestamp }) => timestamp));
}

async function barDays(server: RunningServer, ticker: string, interval: string): Promise<number[]> {
  const column = interval === "daily" ? "date" : "datetime";
  const { body } = await server.command<{ data?: Record<string, string>[] }>("get_stock_data", {
    ...{ ticker, interval },
  });
  return daysAgo((body.data ?? []).map((row) => row[column]!));
}

/** How the last bar of each day closes, by how many days ago it is. */
async function closesOf(server: RunningServer, ticker: string): Promise<Map<number, number>> {
  const { body } = await server.command<{ data?: { datetime: string; close: number }[] }>("get_stock_data", {
    ...{ ticker, interval: "1min" },
  });
  return new Map((body.data ?? []).map(({ datetime, close }) => [daysAgo([datetime])[0]!, close]));
}

/** The bars have all that was saved up to a position. */
async function rolledUp(
  server: RunningServer,
  ticker: string,
  { seq = 0, intervals = ["1min"] }: { seq?: number; intervals?: string[] },
): Promise<void> {
  type Told = Record<string, { rolled_up_to: number; backlog: unknown[]; intervals: string[] } | null>;
  await waitUntil(`the roll-ups of ${ticker} are made`, async () => {
    const { body } = await server.command<{ tickers: Told }>("get_rollups", { tickers: [ticker] });
    const found = body.tickers[ticker] ?? null;
    if (found === null || found.rolled_up_to < seq || found.backlog.length > 0) return false;
    return intervals.every((each) => found.intervals.includes(each));
  });
}

/** All bars are made anew; which are made of what SQL has changed tells when. */
async function remake(
  server: RunningServer,
  { intervals, price, to }: { intervals: string[]; price: number; to: number },
): Promise<void> {
  const sql = `UPDATE realtime_data SET price = ${to} WHERE ticker = 'A' AND price = ${price}`;
  const { status } = await server.command("execute_sql", { sql_query: sql, query_type: "raw" });
  expect(status).toBe(200);
  await server.command("set_rollup", { tickers: "*", intervals, rebuild: true });
  await waitUntil("bars are made anew", async () => (await closesOf(server, "A")).get(0) === to);
}

async function rename(server: RunningServer, ticker: string, newTicker: string): Promise<void> {
  const { status } = await server.command("rename_ticker", { ticker, new_ticker: newTicker });
  expect(status).toBe(200);
}

/** A is rolled up, its old trades go, and it becomes B. `closes` is followed. */
async function whileRolledUp(
  server: RunningServer,
  { days, closes }: { days: number[]; closes: Map<number, number> },
): Promise<void> {
  await waitUntil("trades go", async () => {
    const left = await daysOf(server, "A", "trade");
    // Never before their bars are made.
    if (left.length < days.length) expect(await closesOf(server, "A")).toEqual(closes);
    return left.length === 3;
  });
  expect(await daysOf(server, "A", "trade")).toEqual([2, 1, 0]);
  expect(await daysOf(server, "A", "quote")).toEqual([2, 1, 0]);

  // One is too late for its bar; the other, beside it, isn't.
  const seq = await saveTicks(server, "A", "trade", [ago(4), ago(0, 1)]);
  await rolledUp(server, "A", { seq });
  await server.logged("Roll-ups: trades of A before ");
  expect(await closesOf(server, "A")).toEqual(closes.set(0, 2));

  // What is made anew, and a further length, have bars from the floor on.
  await remake(server, { intervals: ["1min"], price: 2, to: 20 });
  expect(await closesOf(server, "A")).toEqual(closes.set(0, 20));
  await remake(server, { intervals: ["1min", "5min"], price: 20, to: 21 });
  expect(await closesOf(server, "A")).toEqual(closes.set(0, 21));
  await rolledUp(server, "A", { intervals: ["1min", "5min"] });
  expect(await barDays(server, "A", "5min")).toEqual([2, 1, 0]);

  await rename(server, "A", "B");
  await rolledUp(server, "B", { seq: await saveTicks(server, "B", "trade", [ago(0, 2)]) });
  expect(await closesOf(server, "B")).toEqual(closes.set(0, 1));
  await server.command("remove_rollup", { tickers: "*" });
}

function daysAgo(stamps: string[]): number[] {
  const days = stamps.map((stamp) =>
    Math.round((TODAY - Math.floor(Date.parse(`${stamp.slice(0, 10)}T00:00:00Z`))) / DAY_MS),
  );
  return [...new Set(days)];
}

describe.each(ENGINES)("%s", (_, fresh) => {
  test("whole days go, of the rows that the rules name", async () => {
    const dbFile = await fresh();
    const days = [40, 31, 30, 29, 8, 7, 2, 0];
    const stamps = days.flatMap((day) => [ago(day), ago(day, 1)]);
    {
      await using server = await startServer({ dbFile });
      for (const ticker of ["A", "OPT_1", "Z"])
        for (const type of ["trade", "quote", "TEST"]) await saveTicks(server, ticker, type, stamps);
      await saveBars(
        server,
        "1min",
        days.map((day) => ago(day)),
      );
      await saveBars(
        server,
        "hourly",
        days.map((day) => ago(day)),
      );
      await saveBars(
        server,
        "daily",
        days.map((day) => ago(day).slice(0, 10)),
      );
    }
    const retain = "OPT_*:trades=2d,trades=30d,ticks:quote=1w,1min=30d";
    await using server = await startServer({ dbFile, workers: 2, flags: ["--retain", retain] });
    await using subscriber = await Subscriber.open(server.wsUrl, "A");
    const before = (await server.command<{ positions: object }>("get_positions", {})).body.positions;
    await server.logged("rows removed by ticks:quote=1w");
    await server.logged("rows removed by 1min=30d");
    expect(await daysOf(server, "A", "trade")).toEqual([30, 29, 8, 7, 2, 0]);
    expect(await daysOf(server, "Z", "trade")).toEqual([30, 29, 8, 7, 2, 0]);
    expect(await daysOf(server, "OPT_1", "trade")).toEqual([2, 0]);
    for (const ticker of ["A", "OPT_1", "Z"]) {
      expect(await daysOf(server, ticker, "quote")).toEqual([7, 2, 0]);
      expect(await daysOf(server, ticker, "TEST")).toEqual(days);
    }
    expect(await barDays(server, "A", "1min")).toEqual([30, 29, 8, 7, 2, 0]);
    expect(await barDays(server, "A", "hourly")).toEqual(days);
    expect(await barDays(server, "A", "daily")).toEqual(days);
    // It is no update, and nobody is told.
    const after = (await server.command<{ positions: object }>("get_positions", {})).body.positions;
    expect(after).toEqual(before);
    expect(subscriber.frames.filter(({ data }) => JSON.stringify(data).includes("delete"))).toEqual([]);
  });

  test("trades of which bars were made go, and the bars stay", async () => {
    const dbFile = await fresh();
    const days = [5, 4, 3, 2, 1, 0];
    {
      await using server = await startServer({ dbFile });
      for (const type of ["trade", "quote"])
        await saveTicks(
          server,
          "A",
          type,
          days.map((day) => ago(day)),
        );
    }
    const closes = new Map(days.map((day, at) => [day, 1 + at]));
    {
      const flags = ["--rollup", "1min", "--retain", "ticks=2d"];
      await using server = await startServer({ dbFile, workers: 2, flags });
      await whileRolledUp(server, { days, closes });
    }
    {
      // Without roll-ups, whatever comes or goes meanwhile.
      await using server = await startServer({ dbFile, flags: ["--retain", "ticks=1d"] });
      await waitUntil("trades go", async () => (await daysOf(server, "B", "trade")).length === 2);
      expect(await closesOf(server, "B")).toEqual(closes);
      await rename(server, "B", "C");
      await saveTicks(server, "C", "trade", [ago(0, 3)]);
    }
    const copied = await fresh();
    await copySeries(dbFile, copied);
    for (const file of [dbFile, copied]) {
      const flags = ["--rollup", "1min,1hour", ...(file === dbFile ? ["--retain", "ticks=1d"] : [])];
      await using server = await startServer({ dbFile: file, flags });
      await rolledUp(server, "C", { intervals: ["1min", "hourly"] });
      expect(await closesOf(server, "C")).toEqual(closes.set(0, 1));
      expect(await barDays(server, "C", "hourly")).toEqual([1, 0]);
      const seq = await saveTicks(server, "C", "trade", [ago(3), ago(0, 4)]);
      await rolledUp(server, "C", { seq, intervals: ["1min", "hourly"] });
      expect(await closesOf(server, "C")).toEqual(closes.set(0, 2));
    }
  });
});

test("many rows go in small steps", async () => {
  const dbFile = join(dir.path, `${files++}.db`);
  {
    await using server = await startServer({ dbFile });
    for (let part = 0; part < 10; part++)
      await saveTicks(
        server,
        "A",
        "trade",
        Array.from({ length: 10_000 }, (__, row) =>
          new Date(TODAY - 10 * DAY_MS + part * 3_600_000 + row * 100).toISOString(),
        ),
      );
    await saveTicks(server, "A", "trade", [ago(0)]);
  }
  await using server = await startServer({ dbFile, flags: ["--retain", "ticks=1d"] });
  await server.logged("Retention: 100000 rows removed by ticks=1d");
  expect(await daysOf(server, "A", "trade")).toEqual([0]);
});

test.each([
  ["trades", "[TICKERS:]KIND=SPAN"],
  ["trades=30", "trades=30d"],
  ["trades=0d", "trades=30d"],
  ["daily=30d", "kept for ever"],
  ["A:ticks:=30d", "trades=30d"],
  ["tradez=30d", 'got "tradez", expected ticks, trades'],
])("--retain %s is refused", async (rule, words) => {
  const { code, output } = await failingStart(["--db-file", join(dir.path, "x.db"), "--retain", rule]);
  expect(code).not.toBe(0);
  expect(output).toContain(words.startsWith("[") ? "trades=30d" : words);
});

test("a read-only server, and one in front of another, remove nothing and say so", async () => {
  const dbFile = join(dir.path, `${files++}.db`);
  await using server = await startServer({ dbFile });
  await saveTicks(server, "A", "trade", [ago(9)]);
  await using front = await startServer({
    dbFile: `127.0.0.1:${server.port}`,
    flags: ["--retain", "trades=1d"],
  });
  await front.logged("a server in front of another removes nothing (--retain)");
  expect(await daysOf(front, "A", "trade")).toEqual([9]);
});
