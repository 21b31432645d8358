import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { storedRows } from "../support/database-rows.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const SAMPLE = resolve(import.meta.dir, "../../sample");
const TRADES = join(SAMPLE, "ibm-trades.csv.gz");
const QUOTES = join(SAMPLE, "ibm-quotes.csv.gz");
const BARS = join(SAMPLE, "aapl-daily.csv.gz");

let server: RunningServer;
let dir: string;
beforeAll(async () => {
  server = await startServer({ workers: 2 });
  dir = await mkdtemp(join(tmpdir(), "stock-db-import-"));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

async function importFile(args: string[], input?: Uint8Array) {
  return await runCli(["import", "--to", server.url, ...args], input);
}

async function rowsOf(command: string, params: Record<string, unknown>): Promise<Record<string, unknown>[]> {
  const { status, body } = await server.command<{ data: Record<string, unknown>[] }>(command, params);
  expect(status).toBe(200);
  return body.data;
}

async function csv(name: string, text: string): Promise<string> {
  await writeFile(join(dir, name), text);
  return join(dir, name);
}

test("real trades imported twice, in requests cut elsewhere, are there once each", async () => {
  for (const batch of ["2000", "611"]) {
    const { code, stdout } = await importFile([
      TRADES,
      "--ticker",
      "IBM",
      "--type",
      "trade",
      "--batch",
      batch,
    ]);
    expect(stdout).toStartWith("5,000 trades of IBM in http");
    expect(code).toBe(0);
    expect((await rowsOf("get_realtime_data", { ticker: "IBM", data_type: "trade" })).length).toBe(5_000);
  }
});

test("standard input, gzip or not, is told by its columns", async () => {
  const packed = await Bun.file(BARS).bytes();
  for (const [ticker, input] of [
    ["PACKED", packed],
    ["PLAIN", Bun.gunzipSync(packed)],
  ] as const) {
    const { code, stderr } = await importFile(["-", "--ticker", ticker], input);
    expect(stderr).toContain("daily bars: its stamps are dates");
    expect(code).toBe(0);
  }
  const read = (ticker: string) => rowsOf("get_stock_data", { ticker, start_date: null, end_date: null });
  const [packedRows, plainRows] = [await read("PACKED"), await read("PLAIN")];
  expect(packedRows.length).toBe(2_000);
  expect(plainRows.map(({ ma_200 }) => ma_200)).toEqual(packedRows.map(({ ma_200 }) => ma_200));
});

test("a bad row stops with file, line and reason, and what came before it is stored", async () => {
  const file = await csv(
    "bad.csv",
    "Date,Open,High,Low,Close\n2024-01-02,1,2,3,4\n2024-01-03,1,much,3,4\n2024-01-04,1,2,3,4\n",
  );
  const { code, stdout, stderr } = await importFile([file, "--ticker", "BAD", "--quiet"]);
  expect(code).toBe(1);
  expect(stderr).toStartWith(`import: ${file}:3: `);
  expect(stderr).toContain('"much"');
  expect(stdout).toStartWith("stopped: 1 daily bar of BAD in http");
  expect((await rowsOf("get_stock_data", { ticker: "BAD", start_date: null })).length).toBe(1);

  const skipped = await importFile([file, "--ticker", "BAD", "--skip-bad", "--json", "--quiet"]);
  expect(skipped.code).toBe(0);
  expect(JSON.parse(skipped.stdout)).toMatchObject({
    ok: true,
    kind: "daily",
    rowsStored: 2,
    rowsSkipped: 1,
  });
  expect(skipped.stderr).toContain(`skipped ${file}:3: `);
});

test("straight into a file gives the same rows as through a server", async () => {
  const dbFile = join(dir, "direct.db");
  for (const [file, ticker] of [
    [TRADES, "SAME"],
    [QUOTES, "SAME"],
    [BARS, "SAMEBARS"],
  ] as const) {
    expect((await importFile([file, "--ticker", ticker])).code).toBe(0);
    const direct = await runCli(["import", file, "--ticker", ticker, "--db-file", dbFile, "--batch", "777"]);
    expect(direct.stdout).toContain(`of ${ticker} in ${dbFile}`);
    expect(direct.code).toBe(0);
  }
  for (const [table, rows] of [
    ["daily_prices", 2_000],
    ["realtime_data", 6_000],
  ] as const) {
    const direct = storedRows(dbFile, table, "ticker LIKE 'SAME%'");
    expect(direct.length).toBe(rows);
    expect(direct).toEqual(storedRows(server.dbFile, table, "ticker LIKE 'SAME%'"));
  }
});

test("a file that a server has open is refused, and left alone", async () => {
  const { code, stderr } = await runCli(["import", BARS, "--ticker", "LOCKED", "--db-file", server.dbFile]);
  expect(code).toBe(1);
  expect(stderr).toContain(server.dbFile);
  expect(await rowsOf("get_stock_data", { ticker: "LOCKED", start_date: null })).toEqual([]);
});

test("a subscriber on any worker sees an import's rows", async () => {
  const file = await csv("live.csv", "date,open,high,low,close,volume\n2024-01-02,1,2,3,4,5\n");
  await using subscriber = await Subscriber.open(server.wsUrl, "LIVE");
  expect((await importFile([file, "--ticker", "LIVE"])).code).toBe(0);
  await subscriber.until("the rows are here", () => subscriber.updates.length > 0);
  expect(subscriber.updates.map(({ data }) => data)).toEqual([
    [{ date: "2024-01-02", open: 1, high: 2, low: 3, close: 4, volume: 5 }],
  ]);
});

test("a plan stores nothing and needs no server", async () => {
  const file = await csv(
    "plan.csv",
    "Date;Open;High;Low;Last;Vol.\n15-01-2024;1,5;2;1;1,6;100\n16-01-2024;1,5;2;1;1,6;100\n",
  );
  const args = ["import", file, "--ticker", "PLAN", "--to", "http://127.0.0.1:1", "--plan"];
  const { code, stdout, stderr } = await runCli(args);
  expect([code, stderr]).toEqual([0, ""]);
  for (const part of [
    "semicolon",
    "daily bars",
    "PLAN",
    "day first, as 15-01-2024",
    'close = "Last"',
    "decimal comma",
  ])
    expect(stdout).toContain(part);
  expect(JSON.parse((await runCli([...args, "--json"])).stdout)).toMatchObject({
    ok: true,
    layouts: [{ kind: "daily", columns: { close: "Last", volume: "Vol." }, decimal: "comma" }],
  });
  const dbFile = join(dir, "plan.db");
  expect((await runCli(["import", file, "--ticker", "PLAN", "--db-file", dbFile, "--plan"])).code).toBe(0);
  expect(await Bun.file(dbFile).exists()).toBe(false);
});

test("many files of many tickers in one run are told by ticker", async () => {
  const header = "symbol,date,open,high,low,close\n";
  const files = [
    await csv("one.csv", `${header}MANYA,2024-01-02,1,2,0.5,1\nMANYB,2024-01-02,1,2,0.5,2\n`),
    await csv("two.csv", `${header}MANYA,2024-01-03,1,2,0.5,3\n`),
  ];
  const { code, stdout, stderr } = await importFile(files);
  expect(code).toBe(0);
  expect(stderr).toContain("one.csv and 1 more: text, fields separated by comma");
  const lines = stdout.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toStartWith("  MANYA: 2 rows: 2 stored");
  expect(lines[2]).toStartWith("3 daily bars of 2 tickers in http");
  expect((await rowsOf("get_stock_data", { ticker: "MANYA", start_date: null })).length).toBe(2);
});

test("Parquet and archives come through standard input too", async () => {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const path = join(dir, "piped.parquet");
  await connection.run(
    `COPY (SELECT TIMESTAMP '2024-01-02 10:00:00' "timestamp", 1.5 price, 2 size) TO '${path}' (FORMAT parquet)`,
  );
  connection.closeSync();
  instance.closeSync();
  const { code, stderr } = await importFile(["-", "--ticker", "PIPED"], await Bun.file(path).bytes());
  expect(stderr).toContain("standard input: Parquet");
  expect(code).toBe(0);
  expect((await rowsOf("get_realtime_data", { ticker: "PIPED", data_type: "trade" })).length).toBe(1);
});

test("wrong usage is one line and exit code 2", async () => {
  for (const args of [
    [],
    [BARS, "--ticker", "T", "--interval", "weekly"],
    [BARS, "--ticker", "T", "--ticker-from", "filename"],
    [BARS, "--ticker-from", "bars.csv"],
    [BARS, "--ticker", "T", "--column", "close"],
    [BARS, "--ticker", "T", "--column", "clos=Last"],
    [BARS, "--ticker", "T", "--columns", "a,b"],
    [BARS, "--ticker", "T", "--tz", "EST5"],
    [BARS, "--ticker", "T", "--date-order", "ydm"],
    [BARS, "--ticker", "T", "--decimal", "dot"],
    [BARS, "--ticker", "T", "--scale", "3"],
    [BARS, "--ticker", "T", "--on-duplicate", "ignore"],
    [BARS, "--ticker", "T", "--interval", "daily", "--type", "trade"],
    [BARS, "--ticker", "T", "--tickr", "T"],
    [BARS, "--ticker", "T", "--batch", "0"],
    [BARS, "--ticker", "T", "--db-file", "questdb://u:secret@h/d"],
    [BARS, "--ticker", "T", "--db-file", "x.db", "--to", "http://localhost:1"],
    [BARS, "--ticker", "T", "--to", "localhost:8080"],
  ]) {
    const { code, stdout, stderr } = await runCli(["import", ...args]);
    expect([code, stdout, stderr.trim().split("\n").length]).toEqual([2, "", 1]);
    expect(stderr).not.toContain("secret");
  }
  expect((await runCli(["import", "--help"])).stdout).toContain("--skip-bad");
});

test("Ctrl-C ends it with what was stored, also while it waits for standard input", async () => {
  for (const [n, signal] of (["SIGINT", "SIGTERM"] as const).entries()) {
    const args = [
      "import",
      "-",
      "--ticker",
      `STOPPED${n}`,
      "--type",
      "trade",
      "--to",
      server.url,
      "--batch",
      "100",
    ];
    await using child = Bun.spawn([process.execPath, "--no-orphans", MAIN, ...args], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const rows = Array.from(
      { length: 1_050 },
      (_, i) => `2024-01-02T10:00:00.${String(i).padStart(6, "0")}Z,${i},1`,
    );
    child.stdin.write(`timestamp,price,size\n${rows.join("\n")}\n`);
    child.stdin.flush();
    const stored = async () =>
      (await rowsOf("get_realtime_data", { ticker: `STOPPED${n}`, data_type: "trade" })).length;
    await until(async () => (await stored()) === 1_000);
    child.kill(signal);
    expect(await child.exited).toBe(130);
    expect(await child.stdout.text()).toStartWith(`stopped: 1,000 trades of STOPPED${n} in http`);
    expect(await stored()).toBe(1_000);
  }
});

test("an import with append that is killed before its first answer adds no row twice", async () => {
  const rows = Array.from({ length: 250 }, (_, i) => `2024-01-02T10:00:00Z,${1 + (i % 2)},1\n`);
  const file = await csv("killed.csv", `timestamp,price,size\n${rows.join("")}`);
  // Between the import and the server: keeps the answer of the first request to itself.
  const answered = Promise.withResolvers<void>();
  let isKilled = false;
  await using between = Bun.serve({
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const { method, headers } = request;
      const body = method === "POST" ? await request.bytes() : undefined;
      const answer = await fetch(`${server.url}${pathname}`, { method, headers, body });
      if (isKilled || pathname !== "/db_command") return answer;
      answered.resolve();
      return await new Promise<Response>(() => {});
    },
  });
  const args = ["import", file, "--ticker", "KILLED", "--on-duplicate", "append", "--batch", "100"];
  const env = { ...process.env, XDG_STATE_HOME: join(dir, "state") };
  const start = (): Bun.Subprocess<"ignore", "pipe", "pipe"> =>
    Bun.spawn([process.execPath, "--no-orphans", MAIN, ...args, "--to", between.url.origin], {
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  await using killed = start();
  await answered.promise;
  killed.kill("SIGKILL");
  await killed.exited;
  isKilled = true;
  await using again = start();
  expect(await again.exited).toBe(0);
  expect(await rowsOf("get_realtime_data", { ticker: "KILLED", data_type: "trade" })).toHaveLength(250);
});

test("Ctrl-C in the middle of a database file stores whole batches and counts them truly", async () => {
  const rows = ["timestamp,price,size"];
  for (let i = 0; i < 300_000; i++) rows.push(`2024-01-02T10:00:00.${String(i).padStart(6, "0")}Z,${i},1`);
  const file = await csv("long.csv", rows.join("\n"));
  const dbFile = join(dir, "interrupted.db");
  const args = [
    "import",
    file,
    "--ticker",
    "T",
    "--type",
    "trade",
    "--db-file",
    dbFile,
    "--batch",
    "100",
    "--json",
  ];
  await using child = Bun.spawn([process.execPath, "--no-orphans", MAIN, ...args], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const count = (): number => {
    using db = new Database(dbFile, { readonly: true });
    return db.query<{ n: number }, []>("SELECT count(*) AS n FROM realtime_data").get()!.n;
  };
  await until(() => {
    try {
      return count() > 0;
    } catch {
      return false; // the file or its tables aren't there yet
    }
  });
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  const summary = JSON.parse(await child.stdout.text());
  expect(summary).toMatchObject({ ok: false, stoppedBy: "interrupted", rowsStored: count() });
  expect(summary.rowsStored % 100).toBe(0);
  expect(summary.rowsStored).toBeLessThan(300_000);
});
