/**
 * `copy` from and to servers, by their commands: rows and checksums are those of the databases
 * behind them.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Save, TickRow } from "../../src/storage/contract.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { copy, copySeries, importSample } from "../support/copying.ts";
import { storedRows, TABLES } from "../support/database-rows.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { proxyTo } from "../support/tcp-proxy.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const FILES = [
  ["aapl-daily.csv.gz", "AAPL"],
  ["ibm-trades.csv.gz", "IBM", "--type", "trade"],
  ["ibm-quotes.csv.gz", "IBM", "--type", "quote"],
] as const;
const MANY = 12_000;
/** Connections that are cut in each direction. */
const CUTS = 4;
/** What JSON, a pandas-like reader of stamps, or a page's border could spoil. */
const SPECIAL: Save[] = [
  {
    kind: "hourly",
    part: null,
    ticker: "O'Neil},{\"株",
    rows: [["2024-01-02 15:00:00", 0.1 + 0.2, 5e-324, null, -0, "9007199254740993"]],
    onDuplicate: "replace",
  },
  {
    kind: "daily",
    part: null,
    ticker: "1234",
    rows: [["1969-12-31", null, null, null, null, "-9223372036854775808"]],
    onDuplicate: "replace",
  },
  {
    kind: "ticks",
    ticker: "IBM",
    part: "auction",
    rows: [
      ["1969-12-31 23:59:59.999999", 1.7976931348623157e308, "9223372036854775807", null, 0, null, null, 7],
      ["2024-01-02 10:00:00.000001", null, null, null, null, null, null, 0],
    ],
    onDuplicate: "replace",
  },
  {
    kind: "ticks",
    ticker: "MANY",
    part: "trade",
    // Hundreds of one stamp: a page that begins with it brings some again.
    rows: Array.from({ length: MANY }, (_, i): TickRow => {
      const second = String(Math.floor(i / 700)).padStart(2, "0");
      return [`2024-01-02 10:00:${second}.000001`, i / 7, i, null, null, null, null, i % 700];
    }),
    onDuplicate: "replace",
  },
];
const SERIES = 7;

const postgres = usePostgres();
const dir = tempDir();
afterAll(() => dir[Symbol.dispose]());
const source = join(dir.path, "source.db");

beforeAll(async () => {
  await importSample(FILES, source);
  const database = await openTarget({ dbFile: source, durability: "normal" });
  await database.writer.commit(SPECIAL);
  await database.close();
});

const PLACES: Record<string, () => string | Promise<string>> = {
  SQLite: () => join(dir.path, "server.db"),
  DuckDB: () => join(dir.path, "server.duckdb"),
  PostgreSQL: () => postgres.freshSchema(),
};

for (const [engine, place] of Object.entries(PLACES)) {
  test(`a file into a server on ${engine} and back is the same, also through a server in front`, async () => {
    await using server = await startServer({ dbFile: await place(), workers: 2 });
    await using front = await startServer({ dbFile: `127.0.0.1:${server.port}` });
    const back = join(dir.path, `back-from-${engine}.db`);

    const expected = await copySeries(source, `127.0.0.1:${server.port}`);
    expect(expected.length).toBe(SERIES);
    expect(await copySeries(front.url, back)).toEqual(expected);
    expect(await copySeries(back, source, "--dry-run")).toEqual(expected);
    for (const table of TABLES) expect(storedRows(back, table)).toEqual(storedRows(source, table));

    // Once more, there and back: nothing is written.
    for (const [from, to] of [
      [source, front.url],
      [server.url, back],
    ] as const) {
      const { code, stdout } = await copy(from, to, "--json");
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ ok: true, rowsWritten: 0, seriesVerified: SERIES });
    }
  });
}

test("from server to server, some tickers since a moment, while subscribers watch", async () => {
  await using server = await startServer({ dbFile: await postgres.freshSchema() });
  await using other = await startServer({ dbFile: await postgres.freshSchema() });
  expect((await copySeries(source, server.url)).length).toBe(SERIES);
  await using subscriber = await Subscriber.open(other.wsUrl, "MANY");
  const flags = ["--tickers", "MANY", "--since", "2024-01-02T10:00:05Z"];
  const { code, stdout } = await copy(server.url, other.url, "--json", ...flags);
  expect(code).toBe(0);
  const rows = MANY - 5 * 700;
  expect(JSON.parse(stdout)).toMatchObject({ rowsRead: rows, rowsWritten: rows, seriesVerified: 1 });
  const told = () => subscriber.updates.reduce((sum, { data }) => sum + data.payload.length, 0);
  await waitUntil("subscribers were told", () => told() === rows);
});

test("a connection that breaks again and again only costs time", async () => {
  await using server = await startServer({ dbFile: await postgres.freshSchema() });
  expect((await copySeries(source, server.url)).length).toBe(SERIES);
  using proxy = proxyTo(server.port);
  const back = join(dir.path, "back-through-cuts.db");
  let armed = 0;
  const arm = (text: string): Timer =>
    setInterval(() => {
      if (proxy.cuts < armed || armed % CUTS === CUTS - 1) return;
      armed++;
      proxy.cutAt(text, armed % 2 === 0 ? "before" : "after");
    }, 1);
  for (const [from, to, text] of [
    [`127.0.0.1:${proxy.port}`, back, "get_realtime_data"],
    [source, `127.0.0.1:${proxy.port}`, "get_stock_data"],
  ] as const) {
    const timer = arm(text);
    const { code, stderr } = await copy(from, to);
    clearInterval(timer);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    armed = CUTS;
  }
  expect(proxy.cuts).toBeGreaterThan(1);
  for (const table of TABLES) expect(storedRows(back, table)).toEqual(storedRows(source, table));
});

test("a server that is away or older is named, and no password is", async () => {
  using older = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) =>
      request.url.endsWith("/health")
        ? Response.json({ status: "healthy", database: { db_type: "Unknown" } })
        : Response.json({ error: "Unknown command: get_tickers" }, { status: 400 }),
  });
  for (const [address, reason] of [
    ["http://desk:s3cret@127.0.0.1:1", "the upstream doesn't answer; nothing was sent"],
    [`http://desk:s3cret@127.0.0.1:${older.port}`, "the upstream is an older server"],
  ] as const) {
    for (const [from, to] of [
      [address, source],
      [source, address],
    ] as const) {
      const { code, stdout, stderr } = await copy(from, to);
      expect(code).toBe(1);
      expect(stderr).toStartWith("copy: cannot open http://desk:***@127.0.0.1:");
      expect(stderr).toContain(reason);
      expect(stdout + stderr).not.toContain("s3cret");
    }
  }
});
