/** `export` as a process, from every engine: the same files, and an import gives the same rows. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import type { Save } from "../../src/storage/contract.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { type KindName, kindOf } from "../../src/storage/model/kinds.ts";
import { copy, copySeries } from "../support/copying.ts";
import { exported, filesIn, rowsByDuckDb } from "../support/exporting.ts";
import { usePostgres } from "../support/postgres.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const EXTRA = '{"exchange":"Q","n":9007199254740993}';
const bars = { part: null, onDuplicate: "replace" } as const;
const ticks = { kind: "ticks", onDuplicate: "replace" } as const;
/** What engines or formats could have each in their own way. */
const SAVES: Save[] = [
  {
    ...bars,
    kind: "daily",
    ticker: "AAPL",
    rows: [
      ["1969-12-31", 0.1 + 0.2, 5e-324, null, 1.7976931348623157e308, 7],
      ["2024-01-02", 1, 2, 0.5, 1.5, null],
    ],
  },
  { ...bars, kind: "daily", ticker: "aapl", rows: [["2024-01-02", 1, 2, 0.5, 1.5, 3]] },
  { ...bars, kind: "hourly", ticker: 'O"Neil, 株', rows: [["2024-01-02 15:00:00", 1, 2, null, 1.5, 0]] },
  {
    ...bars,
    kind: "interval",
    part: "5min",
    ticker: "BRK/B",
    rows: [["2024-01-02 15:05:00", 1, 2, 0.5, 1.5, 10, 1.25, 4]],
  },
  {
    ...ticks,
    ticker: "IBM",
    part: "trade",
    rows: [
      ["1969-12-31 23:59:59.999999", 182.1, 300, null, null, null, null, 0],
      ["2024-01-02 10:00:00.123456", 182.1, 300, null, null, null, null, 0],
      ["2024-01-02 10:00:00.123456", 182.1, 300, null, null, null, null, 1],
      ["2024-01-02 10:00:00.123456", 182.06, 100, null, null, null, null, 2],
    ],
  },
  {
    ...ticks,
    ticker: "IBM",
    part: "quote",
    rows: [["2024-01-02 10:00:00.000001", 1, 2, 3, 4, null, null, 0]],
  },
];
const LARGE: Save = {
  ...ticks,
  ticker: "WIDE",
  part: "trade",
  rows: [
    ["2024-01-02 10:00:00.000000", 1, "9223372036854775807", null, "-9223372036854775808", null, null, 0],
    ["2024-01-02 10:00:00.000001", 1, "9007199254740993", null, null, "7", EXTRA, 7],
  ],
};
/** Columns of the kinds that the saves leave out. */
const LEFT_OUT = { ticks: namesAfter("ticks", "ask_size"), hourly: namesAfter("hourly", "volume") };
const BLANKS = LEFT_OUT.ticks.map(() => ",").join("");
const TRADES = [
  ["ticker,timestamp,type,price,size,ask_price,ask_size", ...LEFT_OUT.ticks, "seq"].join(","),
  `IBM,1969-12-31T23:59:59.999999Z,trade,182.1,300,,,${BLANKS}0`,
  `IBM,2024-01-02T10:00:00.123456Z,trade,182.1,300,,,${BLANKS}0`,
  `IBM,2024-01-02T10:00:00.123456Z,trade,182.1,300,,,${BLANKS}1`,
  `IBM,2024-01-02T10:00:00.123456Z,trade,182.06,100,,,${BLANKS}2`,
  "",
].join("\r\n");
const HOURLY = [
  ["ticker,datetime,interval,open,high,low,close,volume", ...LEFT_OUT.hourly].join(","),
  `"O""Neil, 株",2024-01-02T15:00:00Z,hourly,1,2,,1.5,0${LEFT_OUT.hourly.map(() => ",").join("")}`,
  "",
].join("\r\n");

function namesAfter(kind: KindName, last: string): string[] {
  const names = kindOf(kind).values.map(({ name }) => name);
  return names.slice(names.indexOf(last) + 1);
}

const CSV_FILES = [
  "daily/%61%61%70%6C.csv",
  "daily/AAPL.csv",
  "hourly/O%22Neil%2C%20%E6%A0%AA.csv",
  "interval/5min/BRK%2FB.csv",
  "ticks/quote/IBM.csv",
  "ticks/trade/IBM.csv",
];

const postgres = usePostgres();

async function fill(dbFile: string, saves: Save[]): Promise<void> {
  const database = await openTarget({ dbFile, durability: "normal" });
  for (const outcome of await database.writer.commit(saves)) expect(outcome).toMatchObject({ ok: true });
  await database.close();
}

/** A database of each engine with the saves, the address of a server among them. */
async function withEachSource(
  saves: Save[],
  body: (sources: Record<string, string>, dir: string) => Promise<void>,
): Promise<void> {
  using dir = tempDir();
  const files = {
    sqlite: join(dir.path, "a.db"),
    duckdb: join(dir.path, "a.duckdb"),
    postgres: await postgres.freshSchema(),
    server: join(dir.path, "served.db"),
  };
  for (const dbFile of Object.values(files)) await fill(dbFile, saves);
  await using server = await startServer({ dbFile: files.server });
  await body({ ...files, server: server.url }, dir.path);
}

test("every engine gives the same files, exactly", () =>
  withEachSource([...SAVES, LARGE], async (sources, dir) => {
    for (const [engine, from] of Object.entries(sources)) {
      const folder = join(dir, `csv-${engine}`);
      expect(await exported(from, folder, "--format", "csv")).toMatchObject({ ok: true, rows: 12, files: 7 });
      const files = filesIn(folder);
      expect(Object.keys(files)).toEqual([...CSV_FILES, "ticks/trade/WIDE.csv"]);
      expect(files["ticks/trade/IBM.csv"]!.toString()).toBe(TRADES);
      expect(files["ticks/trade/WIDE.csv"]!.toString()).toContain(
        `WIDE,2024-01-02T10:00:00.000000Z,trade,1,9223372036854775807,,-9223372036854775808,${BLANKS}0\r\n`,
      );
      expect(files["hourly/O%22Neil%2C%20%E6%A0%AA.csv"]!.toString()).toBe(HOURLY);
      expect(files).toEqual(filesIn(join(dir, "csv-sqlite")));

      const lines = join(dir, `${engine}.ndjson`);
      await exported(from, lines, "--kind", "trades");
      expect(readFileSync(lines, "utf8")).toBe(readFileSync(join(dir, "sqlite.ndjson"), "utf8"));
      expect(readFileSync(lines, "utf8").split("\n")[5]).toEndWith(`"id":"7","extra":${EXTRA},"seq":7}`);
      expect(readFileSync(lines, "utf8").split("\n")[4]).toBe(
        '{"ticker":"WIDE","timestamp":"2024-01-02T10:00:00.000000Z","type":"trade","price":1,' +
          '"size":9223372036854775807,"ask_price":null,"ask_size":-9223372036854775808,' +
          `${LEFT_OUT.ticks.map((name) => `"${name}":null,`).join("")}"seq":0}`,
      );
    }
  }));

test("every engine gives the same Parquet, in folders that Hive's readers know", () =>
  withEachSource([...SAVES, LARGE], async (sources, dir) => {
    for (const [engine, from] of Object.entries(sources)) {
      const folder = join(dir, `parquet-${engine}`);
      await exported(from, folder, "--format", "parquet");
      expect(Object.keys(filesIn(folder)).slice(0, 4)).toEqual([
        "daily/ticker=%61%61%70%6C/rows.parquet",
        "daily/ticker=AAPL/rows.parquet",
        "hourly/ticker=O%22Neil%2C%20%E6%A0%AA/rows.parquet",
        "interval/interval=5min/ticker=BRK%2FB/rows.parquet",
      ]);
      const read = (kind: string) =>
        `SELECT * FROM read_parquet('${folder}/${kind}/**/*.parquet', hive_types={'ticker': VARCHAR})`;
      expect(await rowsByDuckDb(`${read("ticks")} ORDER BY type, ticker, timestamp, seq`)).toMatchObject([
        {
          ticker: "IBM",
          type: "quote",
          timestamp: "2024-01-02 10:00:00.000001+00",
          ask_price: 3,
          ask_size: "4",
        },
        {
          ticker: "IBM",
          type: "trade",
          timestamp: "1969-12-31 23:59:59.999999+00",
          price: 182.1,
          size: "300",
        },
        { ticker: "IBM", timestamp: "2024-01-02 10:00:00.123456+00", seq: "0", ask_price: null },
        { ticker: "IBM", seq: "1" },
        { ticker: "IBM", seq: "2", price: 182.06 },
        { ticker: "WIDE", size: "9223372036854775807", ask_size: "-9223372036854775808", seq: "0" },
        { ticker: "WIDE", size: "9007199254740993", ask_size: null, id: "7", extra: EXTRA, seq: "7" },
      ]);
      const day = "strftime(date, '%Y-%m-%d') AS day, typeof(date) AS type";
      expect(
        await rowsByDuckDb(`SELECT *, ${day} FROM (${read("daily")}) ORDER BY ticker, date`),
      ).toMatchObject([
        {
          ticker: "AAPL",
          day: "1969-12-31",
          type: "DATE",
          open: 0.1 + 0.2,
          high: 5e-324,
          low: null,
          interval: "daily",
        },
        { ticker: "AAPL", day: "2024-01-02", volume: null },
        { ticker: "aapl", volume: "3" },
      ]);
      expect(await rowsByDuckDb(read("interval"))).toMatchObject([
        {
          ticker: "BRK/B",
          interval: "5min",
          datetime: "2024-01-02 15:05:00+00",
          vwap: 1.25,
          trade_count: "4",
        },
      ]);
    }
  }));

test("every engine gives the same Arrow", () =>
  withEachSource([...SAVES, LARGE], async (sources, dir) => {
    for (const [engine, from] of Object.entries(sources)) {
      const file = join(dir, `${engine}.arrow`);
      await exported(from, file, "--kind", "ticks");
      const table = tableFromIPC(readFileSync(file));
      const column = (name: string) => [...table.getChild(name)!];
      expect(column("ticker")).toEqual([...new Array(5).fill("IBM"), "WIDE", "WIDE"]);
      expect(column("type")).toEqual(["quote", ...new Array(6).fill("trade")]);
      expect(column("size").slice(4)).toEqual([100n, 2n ** 63n - 1n, 2n ** 53n + 1n]);
      const stamps = table.getChild("timestamp")!.data.flatMap(({ values }) => [...values]);
      expect(stamps.slice(0, 2)).toEqual([1_704_189_600_000_001n, -1n]);
    }
  }));

test("an import of an export gives the same database, on every engine", () =>
  withEachSource(SAVES, async (sources, dir) => {
    const folder = join(dir, "export");
    await exported(sources.sqlite!, folder, "--format", "csv");
    const targets = [join(dir, "b.db"), join(dir, "b.duckdb"), await postgres.freshSchema()];
    const expected = await copySeries(sources.sqlite!, join(dir, "copy.db"));
    for (const to of targets) {
      for (const path of Object.keys(filesIn(folder))) {
        const ticker = decodeURIComponent(basename(path, ".csv"));
        const [kind] = path.split("/");
        const part = basename(dirname(path));
        const flags = kind === "ticks" ? ["--type", part] : ["--interval", part];
        const args = ["import", join(folder, path), "--db-file", to, "--quiet", "--ticker", ticker, ...flags];
        expect(await runCli(args)).toMatchObject({ code: 0, stderr: "" });
      }
      expect(await copySeries(sources.sqlite!, to, "--dry-run")).toEqual(expected);
      expect((await copy(to, sources.sqlite!, "--dry-run")).code).toBe(0);
    }
  }));
