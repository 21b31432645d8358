/** `export` as a process: what it writes, what it refuses, and how it ends. */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { tableFromIPC } from "apache-arrow";
import type { Save, TickRow } from "../../src/storage/contract.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { exported, exportFrom, filesIn, rowsByDuckDb } from "../support/exporting.ts";
import { waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const MAIN = join(resolve(import.meta.dir, "../.."), "src/main.ts");
const DAY = "2024-01-02";

async function fill(dbFile: string, saves: Save[]): Promise<void> {
  const database = await openTarget({ dbFile, durability: "normal" });
  for (const outcome of await database.writer.commit(saves)) expect(outcome).toMatchObject({ ok: true });
  await database.close();
}

function trades(ticker: string, rows: TickRow[]): Save {
  return { kind: "ticks", ticker, part: "trade", rows, onDuplicate: "replace" };
}

const trade = (second: number, size: number | string): TickRow => [
  `${DAY} 10:00:${String(second).padStart(2, "0")}.000000`,
  1.5,
  size,
  null,
  null,
  null,
  null,
  0,
];

/** Ticks of one ticker, a millisecond apart, as many as it takes some time to export. */
async function fillWithMany(dbFile: string, rows: number): Promise<void> {
  await fill(dbFile, []);
  using db = new Database(dbFile);
  db.run(
    `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
     INSERT INTO realtime_data (ticker, timestamp, type, price, size)
     SELECT 'MANY', strftime('%Y-%m-%d %H:%M:', ?, (i / 1000) || ' seconds')
       || printf('%02d.%03d000', (i / 1000) % 60, i % 1000), 'trade', 100 + i * 7 % 997 / 8.0, i % 900
     FROM n`,
    [rows, DAY],
  );
}

test("tickers that are no names of files have files, and the files have the tickers", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  const tickers = ["BRK/B", "..", "CON", "aapl", "AAPL", "株", "A B", "-rf", "X".repeat(1_000), 'a\nb,"c'];
  await fill(
    db,
    tickers.map((ticker) => trades(ticker, [trade(1, 1)])),
  );
  for (const format of ["csv", "ndjson", "arrow", "parquet"]) {
    const folder = join(dir.path, format);
    expect(await exported(db, folder, "--format", format)).toMatchObject({ rows: 10, files: 10 });
    const paths = Object.keys(filesIn(folder));
    expect(new Set(paths.map((path) => path.toLowerCase())).size).toBe(tickers.length);
    const names = paths.map((path) => {
      const segments = path.split("/").slice(2, format === "parquet" ? -1 : undefined);
      const name = segments.map((segment) => segment.replace(/%$/, "")).join("");
      return decodeURIComponent(name.replace(/^ticker=/, "").replace(/\.\w+$/, ""));
    });
    expect(names.toSorted()).toEqual(tickers.toSorted());
  }
  const files = `read_csv('${dir.path}/csv/**/*.csv', header=true, all_varchar=true)`;
  const csv = await rowsByDuckDb(`SELECT ticker FROM ${files}`);
  expect(csv.map((row) => (row as { ticker: string }).ticker).toSorted()).toEqual(tickers.toSorted());
});

test("a path that no system takes stops an export into a folder, and not one into a file", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  await fill(db, [trades("株".repeat(1_000), [trade(1, 1)])]);
  const { code, stderr } = await exportFrom(db, join(dir.path, "a"), "--format", "csv");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^export: "株{40}…": a path of \d+ characters is too long for a file: --to FILE/);
  await exported(db, join(dir.path, "a.csv"), "--kind", "trades");
  expect(readdirSync(dir.path).filter((name) => !name.startsWith("a.db"))).toEqual(["a.csv"]);
});

test("kinds, tickers and bounds are those asked for, and the end says what was written", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  await fill(db, [
    trades("A", [trade(1, 1), trade(2, 2), trade(3, 3)]),
    trades("B", [trade(1, 4)]),
    { ...trades("A", [trade(1, 5)]), part: "auction" } as Save,
    { kind: "daily", ticker: "A", part: null, rows: [[DAY, 1, 1, 1, 1, 1]], onDuplicate: "replace" },
  ]);
  const bounds = ["--start", `${DAY}T10:00:02`, "--end", DAY];
  const summary = await exported(db, join(dir.path, "x"), "--format", "csv", "--kind", "trades", ...bounds);
  expect(summary).toMatchObject({
    ok: true,
    rows: 2,
    files: 1,
    format: "csv",
    stoppedBy: null,
    kinds: [{ kind: "ticks", type: "trade", rows: 2, tickers: 1 }],
  });
  const { stdout } = await exportFrom(db, join(dir.path, "y"), "--format", "csv", "--tickers", "A,A");
  expect(stdout).toStartWith(
    "1 daily bars of 1 ticker\n1 auction ticks of 1 ticker\n3 trade ticks of 1 ticker\n",
  );
  expect(stdout).toMatch(/\n5 rows of \S+ in 3 files, \S+; /);
  await exported(db, join(dir.path, "z.csv"), "--kind", "ticks:auction,trades", "--tickers", "B,A");
  const lines = readFileSync(join(dir.path, "z.csv"), "utf8").split("\r\n");
  expect(lines.slice(1, -1).map((line) => line.split(",")[4])).toEqual(["5", "1", "2", "3", "4"]);
});

test("no rows make no file, and a ticker that isn't there is told", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  await fill(db, [trades("A", [trade(1, 1)])]);
  for (const [to, flags] of [
    ["a.csv", ["--kind", "daily"]],
    ["a.parquet", ["--kind", "trades", "--start", "2025-01-01"]],
    ["folder", ["--format", "arrow", "--kind", "daily"]],
  ] as const) {
    const { code, stdout, stderr } = await exportFrom(db, join(dir.path, to), ...flags);
    expect([code, stderr]).toEqual([1, "export: there are no such rows, and so no file\n"]);
    expect(stdout).toStartWith("stopped: nothing is written");
    expect(existsSync(join(dir.path, to))).toBe(false);
  }
  const some = await exportFrom(db, join(dir.path, "b.csv"), "--kind", "trades", "--tickers", "A,ABSENT");
  expect([some.code, some.stderr]).toEqual([1, 'export: no rows of "ABSENT"\n']);
  expect(readFileSync(join(dir.path, "b.csv"), "utf8").split("\r\n")).toHaveLength(3);
  const outside = await exportFrom(db, join(dir.path, "c.csv"), "--kind", "trades", "--start", "2025-01-01");
  expect(outside.code).toBe(1);
  expect(readdirSync(dir.path).filter((name) => !name.startsWith("a.db"))).toEqual(["b.csv"]);
  const none = await exportFrom(join(dir.path, "none.db"), join(dir.path, "d.csv"), "--kind", "daily");
  expect([none.code, none.stderr]).toEqual([
    1,
    `export: there is no database ${join(dir.path, "none.db")}\n`,
  ]);
});

test("what is there already isn't touched, unless a file may be replaced", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  await fill(db, [trades("A", [trade(1, 1)])]);
  const [file, folder, empty] = ["a.csv", "folder", "empty"].map((name) => join(dir.path, name));
  writeFileSync(file!, "mine");
  mkdirSync(folder!);
  mkdirSync(empty!);
  writeFileSync(join(folder!, "mine"), "mine");
  const refused = await exportFrom(db, file!, "--kind", "trades");
  expect([refused.code, refused.stderr]).toEqual([
    1,
    `export: ${file} is there already: --overwrite replaces it\n`,
  ]);
  const full = await exportFrom(db, folder!, "--format", "csv");
  expect([full.code, full.stderr]).toEqual([
    1,
    `export: ${folder} isn't empty: expected a folder that isn't there yet, or is empty\n`,
  ]);
  const nothing = await exportFrom(db, file!, "--kind", "daily", "--overwrite");
  expect(nothing.code).toBe(1);
  expect([readFileSync(file!, "utf8"), readdirSync(folder!)]).toEqual(["mine", ["mine"]]);
  await exported(db, file!, "--kind", "trades", "--overwrite");
  expect(readFileSync(file!, "utf8")).toStartWith("ticker,");
  await exported(db, empty!, "--format", "csv");
  expect(Object.keys(filesIn(empty!))).toEqual(["ticks/trade/A.csv"]);
});

test("counts keep one exact type in all files of a kind, whatever comes later", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  await fill(db, [trades("A", [trade(1, 7)]), trades("B", [trade(1, 0.25)])]);
  await exported(db, join(dir.path, "doubles"), "--format", "parquet");
  const doubles = `read_parquet('${dir.path}/doubles/**/*.parquet')`;
  expect(await rowsByDuckDb(`SELECT ticker, size, typeof(size) AS type FROM ${doubles} ORDER BY 1`)).toEqual([
    { ticker: "A", size: 7, type: "DOUBLE" },
    { ticker: "B", size: 0.25, type: "DOUBLE" },
  ]);
  await fill(db, [trades("C", [trade(1, "9007199254740993")])]);
  await exported(db, join(dir.path, "texts"), "--format", "parquet");
  const texts = `read_parquet('${dir.path}/texts/**/*.parquet')`;
  expect(await rowsByDuckDb(`SELECT size FROM ${texts} ORDER BY ticker`)).toEqual([
    { size: "7" },
    { size: "0.25" },
    { size: "9007199254740993" },
  ]);
  await exported(db, join(dir.path, "a.arrow"), "--kind", "trades");
  const table = tableFromIPC(readFileSync(join(dir.path, "a.arrow")));
  expect([...table.getChild("size")!]).toEqual(["7", "0.25", "9007199254740993"]);
});

test("text is packed as the name says", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  await fillWithMany(db, 50_000);
  const plain = join(dir.path, "a.csv");
  await exported(db, plain, "--kind", "trades");
  for (const [name, unpack] of [
    ["a.csv.gz", gunzipSync],
    ["a.csv.zst", Bun.zstdDecompressSync],
  ] as const) {
    await exported(db, join(dir.path, name), "--kind", "trades");
    const packed = readFileSync(join(dir.path, name));
    expect(packed.length).toBeLessThan(readFileSync(plain).length / 2);
    expect(Buffer.from(unpack(packed)).equals(readFileSync(plain))).toBe(true);
  }
  await exported(db, join(dir.path, "folder"), "--format", "ndjson.gz");
  expect(Object.keys(filesIn(join(dir.path, "folder")))).toEqual(["ticks/trade/MANY.ndjson.gz"]);
});

test("standard output has the rows alone, and the summary is beside it", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  await fill(db, [trades("A", [trade(1, 1)])]);
  const csv = await exportFrom(db, "-", "--kind", "trades", "--format", "csv");
  expect(csv.code).toBe(0);
  expect(csv.stdout).toMatch(
    /^ticker,timestamp,type,price,size,\S*,seq\r\nA,2024-01-02T10:00:01.000000Z,trade,1.5,1,,*0\r\n$/,
  );
  expect(csv.stderr).toContain("1 row of ");
  await fill(db, [trades("B", [trade(1, 0.5)])]);
  const arrow = await exportFrom(db, "-", "--kind", "trades", "--format", "arrows", "--json");
  expect(arrow.code).toBe(1);
  expect(arrow.stderr).toContain("size has values that aren't whole");
});

/** A child that is at work on what it has begun. */
function startExport(db: string, to: string, ...flags: string[]) {
  return Bun.spawn([process.execPath, "--no-orphans", MAIN, "export", "--from", db, "--to", to, ...flags], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

for (const [signal, code, left] of [
  ["SIGINT", 130, 0],
  ["SIGTERM", 130, 0],
  ["SIGKILL", 137, 1],
] as const) {
  test(`after ${signal} nothing has the name of something whole`, async () => {
    using dir = tempDir();
    const db = join(dir.path, "a.db");
    await fillWithMany(db, 300_000);
    const goal = join(dir.path, "goal");
    await using child = startExport(db, goal, "--format", "ndjson.gz");
    await waitUntil("the export has begun a file", () =>
      readdirSync(dir.path, { recursive: true }).some((name) => String(name).endsWith("MANY.ndjson.gz")),
    );
    child.kill(signal);
    const stdout = await child.stdout.text();
    await child.exited;
    expect(child.exitCode ?? 128 + 9).toBe(code);
    if (left === 0) expect(stdout).toBe(`stopped: nothing is written to ${goal}\n`);
    const found = readdirSync(dir.path).filter((name) => name.startsWith("goal"));
    expect(found).toHaveLength(left);
    for (const name of found) expect(name).toMatch(/^goal\.partial-[0-9a-f]{8}$/);
  });
}

test("a reader of standard output that takes nothing doesn't keep an export from being interrupted", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  await fillWithMany(db, 50_000);
  await using child = startExport(db, "-", "--kind", "trades", "--format", "csv");
  const reader = child.stdout.getReader();
  await reader.read();
  child.kill("SIGINT");
  const drained = (async () => {
    while (!(await reader.read()).done);
  })();
  await child.exited;
  await drained;
  expect(child.exitCode).toBe(130);
});

const TRIES = 3;

test("memory doesn't grow with the rows", async () => {
  using dir = tempDir();
  const db = join(dir.path, "a.db");
  const [few, many] = [300_000, 900_000];
  await fillWithMany(db, many);
  const first = ["--end", `${DAY}T00:04:59.999`];
  // What a kept row would take: as text, in Arrow's arrays, in those that Parquet is made of.
  for (const [ending, rowBytes] of [
    ["ndjson", 140],
    ["arrow", 56],
    ["parquet", 150],
  ] as const) {
    const peakOf = async (bounds: string[]): Promise<number> => {
      const to = join(dir.path, `${bounds.length}.${ending}`);
      rmSync(to, { force: true });
      await using child = startExport(db, to, "--kind", "trades", "--json", ...bounds);
      const { rows } = JSON.parse(await child.stdout.text());
      expect([await child.exited, rows]).toEqual([0, bounds === first ? few : many]);
      return child.resourceUsage()!.maxRSS;
    };
    // When garbage is collected is a matter of chance: rows that are kept take room each time.
    let grownBytes = Number.POSITIVE_INFINITY;
    const bytesMax = 0.75 * rowBytes * (many - few);
    for (let tried = 0; tried < TRIES && grownBytes >= bytesMax; tried++)
      grownBytes = Math.min(grownBytes, -(await peakOf(first)) + (await peakOf([])));
    expect(`${ending}: ${grownBytes < bytesMax}`).toBe(`${ending}: true`);
  }
});
