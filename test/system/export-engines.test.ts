/** `export` as a process, from every engine: the same files, and an import gives the same rows. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import type { Save } from "../../src/storage/contract.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { type KindName, kindOf, type SeriesRow } from "../../src/storage/model/kinds.ts";
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
const NO_VALUES = (kind: KindName, count: number): null[] =>
  new Array(kindOf(kind).values.length - count).fill(null);
const [INT64_MAX, INT64_MIN] = ["9223372036854775807", "-9223372036854775808"];
/** What a reader of files could take for something else. */
const OTHERS: Save[] = [
  {
    ...bars,
    kind: "daily",
    ticker: " blanks ",
    rows: [
      [
        "2024-01-02",
        2 ** 63,
        -(2 ** 63),
        2 ** 64,
        1e15,
        INT64_MAX,
        '{"type":"x","Adj Close":1.5,"ma_20":null}',
      ],
      ["2024-01-03", 5e6, 6e6, 4e6, 5e6, INT64_MIN, null],
      ["2024-01-04", null, null, null, null, 0, null],
    ],
  },
  { ...bars, kind: "daily", ticker: "null", rows: [["2024-01-02", 5e6, 6e6, 4e6, 5e6, 0.5, null]] },
  {
    ...ticks,
    ticker: "-",
    part: "odd type",
    rows: [
      ["2024-01-02 10:00:00.000000", 2 ** 63, INT64_MIN, -(2 ** 63), INT64_MAX, " 0042 ", null, 0],
      [
        "2024-01-02 10:00:00.000000",
        2 ** 63,
        1,
        null,
        null,
        "null",
        '{"type":"buy","ID":"a","id":"b","seq":7}',
        1,
      ],
      ["2024-01-02 10:00:00.000000", null, null, null, null, "NaN", null, 2],
    ],
  },
  {
    kind: "options",
    ticker: "AAPL",
    part: null,
    onDuplicate: "replace",
    parts: ["O:AAPL240119C00190000", "null", "-"],
    rows: [
      [
        ...["2024-01-02 10:00:00.123456", "2024-01-19", 190.5, "call", "2024-01-02 09:59:59.000001"],
        ...[0.1 + 0.2, 5e-324, 2 ** 63, null, null, -0.5, 1, 2, 3, 4, 0.25, INT64_MAX, INT64_MIN],
      ] as SeriesRow,
      ["2024-01-02 10:00:00.000000", "2024-01-19", null, "put", ...NO_VALUES("options", 3)],
      ["1969-12-31 23:59:59.999999", "2024-01-19", 9_007_199_254_740_992, null, ...NO_VALUES("options", 3)],
    ],
  },
  {
    kind: "financial",
    ticker: " blanks ",
    part: null,
    onDuplicate: "replace",
    rows: [
      ["2024-01-02", 185.5, INT64_MAX, 0.1, ...NO_VALUES("financial", 5), '{"a": "b"}', ""] as SeriesRow,
      [
        "2024-01-03",
        null,
        INT64_MIN,
        null,
        ...NO_VALUES("financial", 5),
        "null",
        ' "x",\r\n y ',
      ] as SeriesRow,
    ],
  },
  {
    kind: "actions",
    ticker: "AAPL",
    part: null,
    onDuplicate: "replace",
    rows: [
      ["2014-06-09", "split", 7, null, null, null, 0],
      ["2014-06-09", "dividend", null, 0.47, "old", null, 1000],
      ["2014-06-09", "dividend", null, 1 / 3, null, null, 1001],
      ["2022-06-09", "symbol_change", null, null, null, " null ", 3000],
      ["2022-06-10", "spinoff", null, null, null, null, 2007],
    ],
  },
];
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
  withEachSource([...SAVES, LARGE, ...OTHERS], async (sources, dir) => {
    const expected = await copySeries(sources.sqlite!, join(dir, "copy.db"));
    const targets = [
      ["csv", join(dir, "b.db")],
      ["csv", join(dir, "b.duckdb")],
      ["csv", await postgres.freshSchema()],
      ...["ndjson", "arrow", "parquet"].map((format) => [format, join(dir, `${format}.db`)] as const),
    ] as const;
    for (const [format, to] of targets) {
      const folder = join(dir, `export-${format}`);
      if (!existsSync(folder)) await exported(sources.sqlite!, folder, "--format", format);
      expect(await runCli(["import", folder, "--db-file", to, "--quiet"])).toMatchObject({
        code: 0,
        stderr: "",
      });
      expect(await copySeries(sources.sqlite!, to, "--dry-run")).toEqual(expected);
      expect((await copy(to, sources.sqlite!, "--dry-run")).code).toBe(0);
    }
    // An export of a server, a file for each kind, and an import into a server.
    await using server = await startServer({ dbFile: join(dir, "served-again.db"), workers: 2 });
    for (const kind of ["daily", "hourly", "interval", "ticks", "options", "financial", "actions"]) {
      for (const format of ["csv.gz", "ndjson", "arrows", "parquet"]) {
        const file = join(dir, `${kind}.${format}`);
        await exported(sources.server!, file, "--kind", kind);
        const run = await runCli(["import", file, "--to", server.url, "--quiet", "--batch", "2", "--json"]);
        expect(run).toMatchObject({ code: 0, stderr: "" });
        const { rows, stored, replaced, repeated } = JSON.parse(run.stdout);
        expect([stored, replaced + repeated]).toEqual(format === "csv.gz" ? [rows, 0] : [0, rows]);
      }
    }
    expect(await copySeries(sources.sqlite!, server.url, "--dry-run")).toEqual(expected);
  }));

test("a copy into a server keeps what goes along with its names, whatever they are", () =>
  withEachSource(OTHERS, async (sources, dir) => {
    const expected = await copySeries(sources.sqlite!, join(dir, "copy.db"));
    await using server = await startServer({ dbFile: join(dir, "copied.db") });
    await copySeries(sources.sqlite!, server.url);
    expect(await copySeries(sources.sqlite!, server.url, "--dry-run")).toEqual(expected);
  }));
