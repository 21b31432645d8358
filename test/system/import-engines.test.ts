/**
 * An import into a running server and one into a database file go the same way, on every engine.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { copySeries } from "../support/copying.ts";
import { usePostgres } from "../support/postgres.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { AAPL_ACTIONS, AAPL_BARS, yahooFile } from "../support/yahoo-files.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
const SAMPLE = resolve(import.meta.dir, "../../sample");
const ENGINES: [string, (folder: string, name: string) => string | Promise<string>][] = [
  ["sqlite", (folder, name) => join(folder, `${name}.db`)],
  ["duckdb", (folder, name) => join(folder, `${name}.duckdb`)],
  ["postgres", () => postgres.freshSchema()],
];

const HEADER = "timestamp,price,size\n";
/** Trades by the thousandth of a second, their prices and sizes. */
const trades = (...rows: string[]): string =>
  HEADER + rows.map((row) => `2024-01-02T15:00:00.00${row.replace(" ", "Z,").replace(" ", ",")}\n`).join("");

interface Summary {
  rows: number;
  stored: number;
  replaced: number;
  repeated: number;
  skipped: number;
  tickers: { ticker: string; rows: number }[];
}

test.each(ENGINES)(
  "%s: files of bars and ticks, twice each, into a server and into a file",
  async (_, dbFileOf) => {
    using folder = tempDir();
    const many = join(folder.path, "many.csv");
    writeFileSync(
      many,
      `symbol,date,open,high,low,close,volume,note\n${Array.from({ length: 60 }, (_each, i) => {
        const date = new Date(Date.UTC(2024, 0, 1 + i)).toISOString().slice(0, 10);
        return `M${i % 7},${date},1,2,0.5,${i},9007199254740993,n${i}\n`;
      }).join("")}`,
    );
    const imports = [
      [join(SAMPLE, "ibm-trades.csv.gz"), "--ticker", "IBM", "--type", "trade"],
      [join(SAMPLE, "ibm-quotes.csv.gz"), "--ticker", "IBM"],
      [join(SAMPLE, "aapl-daily.csv.gz"), "--ticker", "AAPL"],
      [many],
    ];
    const [file, served] = [await dbFileOf(folder.path, "file"), await dbFileOf(folder.path, "served")];
    {
      await using server = await startServer({ dbFile: served, workers: 2 });
      for (const batch of ["2000", "1711"]) {
        for (const args of imports) {
          const into = async (...target: string[]): Promise<Summary> => {
            const run = await runCli(["import", ...args, ...target, "--batch", batch, "--json", "--quiet"]);
            expect([run.code, run.stderr]).toEqual([0, ""]);
            return JSON.parse(run.stdout);
          };
          const [direct, sent] = [await into("--db-file", file), await into("--to", server.url)];
          for (const summary of [direct, sent]) {
            const { rows, stored, replaced, repeated, skipped } = summary;
            expect(stored + replaced + repeated + skipped).toBe(rows);
            expect(stored).toBe(batch === "2000" ? rows : 0);
          }
          expect(sent.tickers).toEqual(direct.tickers);
        }
      }
    }
    const copied = join(folder.path, "copied.db");
    const expected = await copySeries(file, copied);
    expect(expected).toHaveLength(10);
    expect(await copySeries(served, copied, "--dry-run")).toEqual(expected);
  },
);

test.each(ENGINES)("%s: later files of a day, corrections and ids", async (_, dbFileOf) => {
  using folder = tempDir();
  await using server = await startServer({ dbFile: await dbFileOf(folder.path, "ticks"), workers: 2 });
  let files = 0;
  const importText = async (ticker: string, text: string, ...flags: string[]): Promise<Summary> => {
    const path = join(folder.path, `${++files}.csv`);
    writeFileSync(path, text);
    const run = await runCli([
      "import",
      path,
      "--ticker",
      ticker,
      "--to",
      server.url,
      "--json",
      "--quiet",
      ...flags,
    ]);
    expect([run.code, run.stderr]).toEqual([0, ""]);
    return JSON.parse(run.stdout);
  };
  const pricesOf = async (ticker: string): Promise<unknown[]> => {
    const { body } = await server.command<{ data: Record<string, unknown>[] }>("get_realtime_data", {
      ticker,
      data_type: "trade",
    });
    return body.data.map(({ price }) => price);
  };
  const save = (ticker: string, ...data: object[]) =>
    server.command("save_realtime_data", { ticker, data_type: "trade", index_col: "timestamp", data });

  // A trade more in a millisecond, in the midst of known ones.
  await importText("LATE", trades("1 10 1", "1 11 2"));
  expect(await importText("LATE", trades("1 10 1", "1 10.5 7", "1 11 2"))).toMatchObject({
    stored: 1,
    repeated: 2,
  });
  expect((await pricesOf("LATE")).sort()).toEqual([10, 10.5, 11]);

  // A live feed missed one.
  await save("GAPF", { timestamp: "2024-01-02T15:00:00.001Z", price: 11, size: 2 });
  expect(await importText("GAPF", trades("1 10 1", "1 11 2"))).toMatchObject({ stored: 1, repeated: 1 });
  expect((await pricesOf("GAPF")).sort()).toEqual([10, 11]);

  // Equal trades, in requests of two rows, and once more with one more.
  const equal = Array.from({ length: 5 }, () => "1 10 1");
  expect(await importText("EQ", trades(...equal), "--batch", "2")).toMatchObject({ stored: 5 });
  expect(await importText("EQ", trades(...equal, "1 10 1"), "--batch", "3")).toMatchObject({
    stored: 1,
    repeated: 5,
  });
  expect(await importText("EQ", trades(...equal), "--on-duplicate", "append")).toMatchObject({ stored: 5 });
  expect(await pricesOf("EQ")).toHaveLength(11);

  // A corrected file: with the flag the right price is there, without it both are.
  await importText("FIX", trades("1 10 1", "2 1100 2", "2 12 3"));
  expect(
    await importText("FIX", trades("1 10 1", "2 11 2", "2 12 3"), "--on-duplicate", "replace"),
  ).toMatchObject({
    rows: 3,
    stored: 0,
  });
  expect(await pricesOf("FIX")).toEqual([10, 11, 12]);
  await importText("BOTH", trades("1 10 1", "2 1100 2"));
  expect(await importText("BOTH", trades("1 10 1", "2 11 2"))).toMatchObject({ stored: 1, repeated: 1 });

  // Ids: other ids are other trades, the same id is the same trade.
  const withIds = (...rows: string[]): string =>
    `timestamp,price,size,trade_id\n${rows.map((row) => `${row}\n`).join("")}`;
  const at = "2024-01-02T15:00:00.123Z,42000.1,0.5";
  await save("IDS", { timestamp: "2024-01-02T15:00:00.123Z", price: 42000.1, size: 0.5, id: "1" });
  expect(await importText("IDS", withIds(`${at},1`, `${at},2`))).toMatchObject({ stored: 1, repeated: 1 });
  expect(await pricesOf("IDS")).toHaveLength(2);
});

test.each(ENGINES)("%s: --on-duplicate of bars", async (_, dbFileOf) => {
  using folder = tempDir();
  const dbFile = await dbFileOf(folder.path, "bars");
  const path = join(folder.path, "bars.csv");
  const run = async (text: string, ...flags: string[]) => {
    writeFileSync(path, `date,open,high,low,close,volume\n${text}`);
    return await runCli(["import", path, "--ticker", "T", "--db-file", dbFile, "--json", ...flags]);
  };
  const summary = async (text: string, ...flags: string[]): Promise<Summary> =>
    JSON.parse((await run(text, ...flags)).stdout);
  const [first, second] = [
    "2024-01-02,1,2,0.5,1,100\n",
    "2024-01-02,1,2,0.5,9,100\n2024-01-03,1,2,0.5,2,100\n",
  ];
  expect(await summary(first)).toMatchObject({ stored: 1, replaced: 0 });
  expect(await summary(second, "--on-duplicate", "keep")).toMatchObject({ stored: 1, skipped: 1 });
  expect(await summary(first)).toMatchObject({ rows: 1, stored: 0, skipped: 0 });
  expect(await summary(second)).toMatchObject({ rows: 2, stored: 0, skipped: 0 });
  const refused = await run(first, "--on-duplicate", "error");
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("2024-01-02");
  expect((await run(first, "--on-duplicate", "append")).stderr).toContain(
    "--on-duplicate append is not for bars",
  );
  // Two of one time in a file: the first is kept, or the last stands.
  const twice = "2024-02-01,1,2,0.5,5,100\n2024-02-01,1,2,0.5,6,100\n2024-02-02,1,2,0.5,6,100\n";
  expect(await summary(twice, "--on-duplicate", "keep")).toMatchObject({ stored: 2, skipped: 1 });
  expect(await summary(twice)).toMatchObject({ rows: 3, stored: 0, skipped: 0, duplicates: 1 });
});

test.each(ENGINES)("%s: Yahoo's rows as they were traded, and its adjusted closes", async (_, dbFileOf) => {
  using folder = tempDir();
  await using server = await startServer({ dbFile: await dbFileOf(folder.path, "yahoo"), workers: 2 });
  const path = join(folder.path, "AAPL.csv");
  const text = yahooFile(AAPL_BARS, AAPL_ACTIONS);
  writeFileSync(path, text);
  const args = [path, "--ticker-from", "filename", "--actions", "auto", "--to", server.url, "--quiet"];
  const told = await runCli(["import", ...args]);
  expect(told.stdout).toContain("34 corporate actions: 34 stored, 0 replaced, 0 repeated, 0 skipped");
  expect(told.stdout).toMatch(
    /"Adj Close" and bars adjusted by these actions differ by at most 0\.0000\d+ %/,
  );
  const bars = async (adjustment: string) => {
    const { body } = await server.command<{ data: Record<string, number>[] }>("get_stock_data", {
      ticker: "AAPL",
      interval: "daily",
      adjustment,
    });
    return body.data;
  };
  expect((await bars("raw")).map(({ close, volume }) => [close, volume])).toEqual(
    AAPL_BARS.map(({ prices, volume }) => [Number(prices[3].toFixed(6)), volume]),
  );
  const closes = text.trim().split("\n").slice(1);
  const adjusted = await bars("all");
  expect(adjusted).toHaveLength(closes.length);
  for (const [at, { close }] of adjusted.entries())
    expect(Math.abs(close! - Number(closes[at]!.split(",")[5]))).toBeLessThan(3e-6);
  const of = (date: string) => adjusted[AAPL_BARS.findIndex((bar) => bar.date === date)];
  expect(of("2014-05-07")!.close).toBe(18.958291);
  expect(of("2014-06-06")).toMatchObject({ close: 20.777713, volume: 339_266_788 });
  expect(of("2020-08-28")!.close).toBe(124.406645);
  const again = await runCli(["import", ...args, "--json"]);
  expect(JSON.parse(again.stdout)).toMatchObject({ stored: 0, actions: { rows: 34, stored: 0 } });
});

/** Plain lines, some of which aren't, and equal ticks around the places where requests are cut. */
function manyTrades(rows: number): { text: string; records: string[] } {
  const records: string[] = [];
  const lines = Array.from({ length: rows }, (_, i) => {
    // Some 40 equal ones at each multiple of 2,000.
    const near = Math.round(i / 2_000) * 2_000;
    const at = Math.abs(i - near) < 20 ? near : i;
    const stamp = new Date(Date.UTC(2024, 0, 2, 15) + at * 7).toISOString().slice(0, -1);
    const [price, size] = [100 + (at % 13) / 8, at % 3 === 0 ? 100 : 5];
    records.push(`${stamp.replace("T", " ")}000|${price}|${size}`);
    return `${stamp}Z,${i % 977 === 5 ? `"${price}"` : price},${size}`;
  });
  return { text: `${HEADER}${lines.join("\n")}\n`, records: records.sort() };
}

test.each(ENGINES)(
  "%s: a large file of plain ticks goes in parts, and no tick is lost",
  async (_, dbFileOf) => {
    using folder = tempDir();
    const path = join(folder.path, "trades.csv");
    const { text, records } = manyTrades(16_000);
    writeFileSync(path, text);
    await using server = await startServer({ dbFile: await dbFileOf(folder.path, "parts"), workers: 2 });
    for (const [batch, stored] of [
      ["2000", records.length],
      ["30000", 0],
    ] as const) {
      const args = ["import", path, "--ticker", "T", "--type", "trade", "--to", server.url, "--batch", batch];
      const { code, stdout } = await runCli([...args, "--json", "--restart"]);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        rows: records.length,
        stored,
        repeated: records.length - stored,
      });
    }
    const { body } = await server.command<{ data: { timestamp: string; price: number; size: number }[] }>(
      "get_realtime_data",
      { ticker: "T", data_type: "trade" },
    );
    const found = body.data.map(({ timestamp, price, size }) =>
      [timestamp.replace("T", " ").replace("Z", ""), price, size].join("|"),
    );
    expect(found.sort()).toEqual(records);
  },
);
