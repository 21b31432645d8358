/** The TypeScript client: its types, its size, and what it asks and saves of a real server. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { tableFromIPC } from "apache-arrow";
import {
  type Client,
  connect,
  RequestError,
  SaveError,
  type Update,
} from "../../clients/typescript/src/index.ts";
import packageJson from "../../package.json" with { type: "json" };
import { clientTypes, type Description } from "../../scripts/client-types/client-types.ts";
import { saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const CLIENT = resolve(import.meta.dir, "../../clients/typescript");
/** Minified, and packed: without Arrow. */
const BYTES_MAX = 20_000;
const DAY = "2024-01-02";

const dir = tempDir();
let server: RunningServer;
let db: Client;

beforeAll(async () => {
  server = await startServer({ workers: 2, flags: ["--sample"] });
  db = connect(server.url);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

test("its types are those of the server's description, its version is the server's", async () => {
  const description = (await (await fetch(`${server.url}/openapi.json`)).json()) as Description;
  const written = readFileSync(join(CLIENT, "src/generated/api.ts"), "utf8");
  expect(await clientTypes(description)).toBe(written);
  const own = JSON.parse(readFileSync(join(CLIENT, "package.json"), "utf8")) as { version: string };
  expect(own.version).toBe(packageJson.version);
});

test(`a bundle of it has ${BYTES_MAX / 1_000} KB at most, and one of questions alone a half of that`, async () => {
  const sizeOf = async (names: string): Promise<number> => {
    const entry = join(dir.path, "entry.ts");
    writeFileSync(entry, `export { ${names} } from ${JSON.stringify(join(CLIENT, "src/index.ts"))};`);
    const { outputs } = await Bun.build({ entrypoints: [entry], minify: true, target: "browser" });
    return Bun.gzipSync(new Uint8Array(await outputs[0]!.arrayBuffer())).length;
  };
  expect(await sizeOf("connect")).toBeLessThan(BYTES_MAX);
  expect(await sizeOf("Questions, Connection")).toBeLessThan(BYTES_MAX / 2);
});

test("a new project installs it from the folder: Node runs it, and tsc knows its types", async () => {
  const project = join(dir.path, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "type": "module", "private": true }');
  const program = `import { connect } from "stock-db-client";
import { fileSpool } from "stock-db-client/spool";
const db = connect(${JSON.stringify(server.url)}, { key: undefined });
await using writer = db.writer({ spool: fileSpool(${JSON.stringify(join(project, "spool"))}) });
const timestamp = "${DAY}T15:00:00Z";
for (let n = 1; n <= 3; n++) await writer.trade("NODE", { timestamp, price: n, size: 1, id: n });
await writer.flush();
const rows = await db.trades(["NODE"]);
const prices: (number | null)[] = rows.map(({ price }) => price);
console.log(prices.join());
for await (const update of db.stream("NODE", { types: "trade", since: { NODE: 0 } })) {
  if (update.type !== "trade") continue;
  console.log(update.records.map(({ price }) => price).join());
  break;
}
`;
  writeFileSync(join(project, "program.ts"), program);
  const run = (command: string[]): { code: number; said: string } => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: project });
    return { code: exitCode, said: stdout.toString() + stderr.toString() };
  };
  expect(run(["npm", "run", "--silent", "--prefix", resolve(CLIENT, "../.."), "build:client"]).code).toBe(0);
  const installed = run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--offline", CLIENT]);
  expect(installed.code, installed.said).toBe(0);
  const tsc = resolve(CLIENT, "../../node_modules/.bin/tsc");
  const options = [
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "--lib",
    "es2022,esnext.disposable,dom",
  ];
  const compiled = run([tsc, ...options, "--exactOptionalPropertyTypes", "program.ts"]);
  expect(compiled.code, compiled.said).toBe(0);
  expect(run(["node", "program.js"])).toEqual({ code: 0, said: "1,2,3\n1,2,3\n" });
});

test("questions: rows, pages, columns, files, and what is exact", async () => {
  const bars = await db.bars(["AAPL", "SPY"], {
    timeframe: "1Month",
    start: "2020-07-01",
    end: "2020-10-31",
  });
  expect(bars.map(({ symbol }) => symbol)).toEqual(
    [..."AAAA"].map(() => "AAPL").concat([..."SSSS"].map(() => "SPY")),
  );
  expect(bars[0]).toMatchObject({ symbol: "AAPL", timestamp: "2020-07-01T00:00:00Z", close: 425.04 });
  const question = () => db.trades("IBM", { start: "2013-10-08", limit: 2_500 });
  const all = await question();
  const paged: unknown[] = [];
  for await (const page of question().pages(1_000)) paged.push(...page);
  expect([all.length, paged]).toEqual([2_500, [...all]]);
  const single: unknown[] = [];
  for await (const row of question()) single.push(row);
  expect(single).toEqual([...all]);
  const columns = await question().columns();
  expect(columns.price).toEqual(all.map(({ price }) => price));
  expect((await question().arrow(tableFromIPC)).numRows).toBe(2_500);
  expect(new TextDecoder().decode(await question().bytes("csv")).split("\n")).toHaveLength(2_502);
  const joined = await db.asof("IBM", { left: "trades", right: "quotes", tolerance: "1min", limit: 1 });
  expect(joined[0]).toHaveProperty("quote_bid_price");
  expect((await db.latest(["IBM", "AAPL"])).map(({ symbol }) => symbol)).toEqual(["IBM"]);
  expect((await db.snapshots("AAPL"))[0]!.dailyBar?.close).toBe(122.15);
  expect((await db.corporateActions("AAPL")).length).toBeGreaterThan(2);
  expect((await db.tickers("*")).map(({ symbol }) => symbol)).toContain("SPY");
  expect(await db.sql("SELECT 9007199254740993 AS big, ? AS text", ["x"])).toEqual([
    { big: 9007199254740993n, text: "x" },
  ]);
});

test("what the server refuses is an error with its words, and a wrong address one that names it", async () => {
  const error = await db
    .bars("AAPL", { timeframe: "1Moon" })
    .rows()
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(RequestError);
  expect((error as RequestError).message).toContain('"1Moon"');
  expect((error as RequestError).status).toBe(400);
  expect(() => connect("ftp://localhost")).toThrow("connect: got ftp://…, expected http:// or https://");
  const nobody = connect("http://127.0.0.1:9", { retryForMs: 0 });
  expect(nobody.tickers()).rejects.toThrow("http://127.0.0.1:9");
});

test("saves tell their counts, and of a refused one what is stored", async () => {
  const trade = (n: number) => ({
    timestamp: `${DAY}T15:00:00.000${String(n).padStart(3, "0")}Z`,
    price: n,
    size: 1,
    id: n,
  });
  const rows = Array.from({ length: 40 }, (_, n) => ({ symbol: "SAVED", ...trade(n) }));
  expect(await db.saveTrades(rows)).toMatchObject({ stored: 40, repeated: 0 });
  expect(await db.saveTrades(rows)).toMatchObject({ stored: 0, repeated: 40 });
  const error = await db
    .saveTrades([{ symbol: "SAVED", timestamp: "yesterday", price: 1, size: 1 }])
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(SaveError);
  expect((error as SaveError).message).toContain("yesterday");
  const bars = [{ timestamp: DAY, open: 1, high: 2, low: 1, close: 2, volume: 10 }];
  await db.saveBars(
    bars.map((bar) => ({ symbol: "SAVED", ...bar })),
    { timeframe: "1Day" },
  );
  expect((await db.bars("SAVED", { timeframe: "1Day" }))[0]).toMatchObject({ close: 2, volume: 10 });
});

test("a writer goes past what is refused, and tells it", async () => {
  const refused: unknown[] = [];
  const writer = db.writer({ onRefused: ({ row }) => refused.push(row.price) });
  for (const price of [1, "two", 3])
    await writer.trade("WRITTEN", {
      timestamp: `${DAY}T15:00:00Z`,
      price: price as number,
      size: 1,
      id: String(price),
    });
  await writer.close();
  expect(refused).toEqual(["two"]);
  expect((await db.trades("WRITTEN")).map(({ price }) => price)).toEqual([1, 3]);
  expect(writer.figures).toMatchObject({ stored: 2, refused: 1 });
});

test("history, then live: joined without a hole, over a killed worker and each transport", async () => {
  for (const transport of ["events", "websocket"] as const) {
    const ticker = `JOIN${transport.toUpperCase()}`;
    const price = (n: number) =>
      db.saveTrades([{ symbol: ticker, timestamp: `${DAY}T15:00:0${n}Z`, price: n, size: 1, id: n }]);
    await price(1);
    await price(2);
    const seen: (number | null)[] = [];
    const reading = (async () => {
      for await (const update of db.historyThenLive([ticker], { of: "trades", transport })) {
        if (update.type === "history")
          seen.push(...update.rows.map((row) => (row as { price: number }).price));
        if (update.type === "trade") seen.push(...update.records.map((record) => record.price));
        if (seen.length >= 5) return;
      }
    })();
    await waitUntil("history is read", () => seen.length >= 2);
    await price(3);
    await waitUntil("it is live", () => seen.length >= 3);
    process.kill(processesOf(server).workers[0]!, "SIGKILL");
    await price(4);
    await price(5);
    await reading;
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  }
});

test("a state that was kept goes on; positions of another database are told as a gap", async () => {
  const state = join(dir.path, "state.json");
  const first = async (count: number): Promise<Update[]> => {
    const seen: Update[] = [];
    for await (const update of db.stream(["KEPT"], { types: "trade", state, since: { KEPT: 0 } })) {
      seen.push(update);
      if (seen.length > count) break;
    }
    return seen;
  };
  for (let n = 0; n < 3; n++) await saveTrade(server.url, "KEPT", n, `${DAY}T15:00:0${n}Z`);
  expect((await first(1)).map((update) => "position" in update && update.position)).toEqual([1, 2]);
  // The one at which the loop was left comes again.
  expect((await first(1)).map((update) => "position" in update && update.position)).toEqual([2, 3]);
  const kept = JSON.parse(readFileSync(state, "utf8")) as { epoch: string };
  writeFileSync(state, JSON.stringify({ ...kept, epoch: "another" }));
  const [gap] = await first(0);
  expect(gap).toMatchObject({ type: "gap", ticker: "KEPT", reason: "epoch_changed" });
});
