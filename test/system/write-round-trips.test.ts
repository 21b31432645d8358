/** What GET /v1 answers is taken back by a POST, in every format, and then is the same again. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { FORMATS, getText, passOn, RandomRows } from "../support/posted-rows.ts";
import { usePostgres } from "../support/postgres.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(240_000);

const postgres = usePostgres();
/** What a format brings is the same for all of them. */
const ENGINES = {
  SQLite: { place: async (dir: string, name: string) => join(dir, `${name}.db`), formats: FORMATS },
  DuckDB: {
    place: async (dir: string, name: string) => join(dir, `${name}.duckdb`),
    formats: ["arrow", "csv"] as const,
  },
  PostgreSQL: { place: () => postgres.freshSchema(), formats: ["parquet", "json"] as const },
};

const ALL = {
  bars: "open,high,low,close,volume,trade_count,vwap",
  trades: "price,size,id,exchange,conditions,tape",
  quotes: "bid_price,bid_size,bid_exchange,ask_price,ask_size,ask_exchange,conditions,tape,id",
};

/** By the commands, whose rows are told apart by nothing but what they hold. */
async function fill(server: RunningServer, seed: number): Promise<void> {
  const random = new RandomRows(seed);
  const save = async (command: string, params: Record<string, unknown>, records: string[]): Promise<void> => {
    const head = JSON.stringify({ command, params }).slice(0, -2);
    const answer = await fetch(`${server.url}/db_command`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: `${head},"data":[${records.join(",")}]}}`,
    });
    expect(await answer.text()).toContain("saved successfully");
  };
  for (const ticker of new Set(Array.from({ length: 12 }, () => random.ticker()))) {
    for (const type of ["trade", "quote"]) {
      const ticks = Array.from({ length: 30 }, () => {
        const members = { id: random.id(), ...random.members() };
        const own = JSON.stringify({ ...members, timestamp: random.stamp(), price: random.price() });
        const asks = type === "quote" ? `,"ask_price":${random.price()},"ask_size":${random.count()}` : "";
        return `${own.slice(0, -1)},"size":${random.count()}${asks}}`;
      });
      const params = { ticker, index_col: "timestamp", data_type: type, on_duplicate: "append" };
      await save("save_realtime_data", params, ticks);
    }
    for (const interval of ["daily", "hourly", "5min"]) {
      const bars = Array.from({ length: 15 }, (_, bar) => {
        const at = new Date(Date.UTC(2024, 0, 2) + bar * (interval === "daily" ? 86_400_000 : 3_600_000));
        const extra = random.pick([{}, { source: "x", other: [1] }]);
        const own = JSON.stringify({
          ...extra,
          date: at.toISOString(),
          open: random.price(),
          close: 1 + bar,
        });
        const counts = `"volume":${random.count()},"trade_count":${random.pick(["null", "7"])}`;
        return `${own.slice(0, -1)},${counts},"vwap":${random.price()}}`;
      });
      await save("save_stock_data", { ticker, index_col: "date", interval }, bars);
    }
  }
}

/** Of texts of some 100 KB, the first place where they differ. */
async function expectSame(copy: RunningServer, source: RunningServer, path: string): Promise<void> {
  const [got, expected] = await Promise.all([getText(copy, path), getText(source, path)]);
  let at = 0;
  while (at < expected.length && got[at] === expected[at]) at++;
  const near = (text: string): string => text.slice(Math.max(0, at - 80), at + 80);
  expect({ path, length: got.length, text: near(got) }).toEqual({
    ...{ path, length: expected.length, text: near(expected) },
  });
}

const pathsOf = (question: string): { table: keyof typeof ALL; path: string; query: string }[] => [
  { table: "trades", path: "/v1/trades", query: `?symbols=*${question}` },
  { table: "quotes", path: "/v1/quotes", query: `?symbols=*${question}` },
  ...["1Day", "1Hour", "5Min"].map((timeframe) => ({
    table: "bars" as const,
    path: `/v1/bars?timeframe=${timeframe}`,
    query: `&symbols=*${question}`,
  })),
];

for (const [engine, { place, formats }] of Object.entries(ENGINES))
  test(`${engine}: ${formats.join(", ")}, with all columns and with the usual ones`, async () => {
    using dir = tempDir();
    await using source = await startServer({ dbFile: await place(dir.path, "source") });
    await fill(source, 7);
    for (const format of formats) {
      await using copy = await startServer({ dbFile: await place(dir.path, `all-${format}`) });
      for (const { table, path, query } of pathsOf("")) {
        const seq = table === "bars" ? "" : ",seq";
        const wanted = `${path}${query}&columns=${ALL[table]},extra${seq}`;
        const posted = await passOn(source, `${wanted}&format=${format}`, copy, path);
        expect({ format, path, ...posted }).toMatchObject({
          status: 200,
          body: { replaced: 0, repeated: 0 },
        });
        expect(posted.body.warnings).toBeUndefined();
        for (const shown of ["csv", "json"]) await expectSame(copy, source, `${wanted}&format=${shown}`);
      }
    }
    await using usual = await startServer({ dbFile: await place(dir.path, "usual") });
    for (const [index, { path, query }] of pathsOf("").entries()) {
      const format = FORMATS[(index + 2) % FORMATS.length]!;
      const posted = await passOn(source, `${path}${query}&format=${format}`, usual, path);
      expect({ format, path, ...posted }).toMatchObject({ status: 200 });
      await expectSame(usual, source, `${path}${query}`);
    }
  });
