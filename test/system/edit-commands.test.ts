/** `delete` and `rename` as processes: into servers and databases of each engine. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openTarget } from "../../src/storage/engines.ts";
import { KIND_NAMES } from "../../src/storage/model/kinds.ts";
import { usePostgres } from "../support/postgres.ts";
import { command } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { at, daily, ticks } from "../support/saves.ts";
import { startServer } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
const DATABASES: Record<string, (dir: string) => string | Promise<string>> = {
  sqlite: (dir) => join(dir, "test.db"),
  duckdb: (dir) => join(dir, "test.duckdb"),
  postgres: () => postgres.freshSchema(),
};

async function fill(dbFile: string): Promise<void> {
  const database = await openTarget({ dbFile, durability: "normal" });
  await database.writer.commit([
    ticks("A", [
      [at(1), 1],
      [at(2), 2],
      [at(3), 3],
    ]),
    { ...ticks("A", [[at(3), 4]]), part: "quote" },
    ticks("B", [[at(3), 5]]),
    daily("A", [
      ["2024-01-02", 6],
      ["2024-01-03", 7],
    ]),
    { ...daily("A", []), kind: "interval", part: "5min", rows: [["2024-01-02 10:00:00", 1]] },
  ]);
  await database.close();
}

/** How many rows each ticker has, by kind. */
async function rowsIn(dbFile: string): Promise<Record<string, number>> {
  const database = await openTarget({ dbFile, durability: "normal" });
  const reader = await database.openTransfer();
  const counts: Record<string, number> = {};
  for (const kind of KIND_NAMES)
    for (const ticker of await reader.tickers(kind, null, 100)) {
      const parts = await reader.parts(kind, ticker);
      for (const part of parts.length === 0 ? [null] : parts)
        for await (const rows of reader.rows({ kind, ticker, part, from: null, to: null }))
          counts[`${ticker} ${part ?? kind}`] = (counts[`${ticker} ${part ?? kind}`] ?? 0) + rows.length;
    }
  await reader.close();
  await database.close();
  return counts;
}

const FILLED = { "A daily": 2, "A quote": 1, "A trade": 3, "A 5min": 1, "B trade": 1 };

const run = (name: string, to: string, ...flags: string[]) => runCli([name, "--to", to, ...flags]);

for (const [engine, place] of Object.entries(DATABASES)) {
  describe(engine, () => {
    test("in a database, with --dry-run before", async () => {
      using dir = tempDir();
      const dbFile = await place(dir.path);
      await fill(dbFile);
      const flags = ["--tickers", "A,B", "--kind", "trades,quotes,daily", "--start", "2024-01-02T10:00:02"];
      const tried = await run("delete", dbFile, "--dry-run", ...flags);
      expect(tried).toEqual({
        code: 0,
        stdout: `A: 2 rows of daily bars would be deleted
A: 1 row of quote ticks would be deleted
A: 2 rows of trade ticks would be deleted
B: 0 rows of daily bars would be deleted
B: 0 rows of quote ticks would be deleted
B: 1 row of trade ticks would be deleted
`,
        stderr: "",
      });
      expect(await rowsIn(dbFile)).toEqual(FILLED);
      const done = await run("delete", dbFile, ...flags);
      expect(done).toEqual({
        ...tried,
        stdout: tried.stdout.replaceAll(/(\d+ rows? of .*) would be/g, (_, of: string) =>
          of.startsWith("1 ") ? `${of} is` : `${of} are`,
        ),
      });
      expect(await rowsIn(dbFile)).toEqual({ "A trade": 1, "A 5min": 1 });
      expect((await run("rename", dbFile, "A", "NEW", "--dry-run")).stdout).toBe(
        "A: 2 rows would be renamed to NEW\n",
      );
      expect(await run("rename", dbFile, "A", "NEW")).toEqual({
        code: 0,
        stdout: "A: 2 rows are renamed to NEW\n",
        stderr: "",
      });
      expect(await rowsIn(dbFile)).toEqual({ "NEW trade": 1, "NEW 5min": 1 });
    });

    test("in a running server, whose subscribers see it", async () => {
      using dir = tempDir();
      const dbFile = await place(dir.path);
      await fill(dbFile);
      await using server = await startServer({ dbFile, workers: 2 });
      await using subscriber = await Subscriber.open(server.wsUrl, "A");
      const all = ["--tickers", "A", "--kind", "ticks,5min", "--all", "--json"];
      const tried = await run("delete", server.url, ...all, "--dry-run");
      const told = (dryRun: boolean, seqs: (number | null)[]) => ({
        ok: true,
        to: server.url,
        dryRun,
        removed: 5,
        edits: [
          { ticker: "A", kind: "ticks", removed: 4, seq: seqs[0] },
          { ticker: "A", kind: "interval", interval: "5min", removed: 1, seq: seqs[1] },
        ],
        stoppedBy: null,
      });
      expect(JSON.parse(tried.stdout)).toEqual(told(true, [null, null]));
      const done = await run("delete", server.url, ...all);
      expect([done.code, JSON.parse(done.stdout)]).toEqual([0, told(false, [5, 6])]);
      await subscriber.until("both", () => subscriber.seqs.length === 2);
      expect(subscriber.updates.map(({ data }) => [data.type, data.removed])).toEqual([
        ["tick_delete", 4],
        ["bar_delete", 1],
      ]);
      const taken = await run("rename", server.url, "A", "B");
      expect(taken).toMatchObject({ code: 1, stdout: "" });
      expect(taken.stderr).toStartWith("rename: rename_ticker: B has rows already; nothing was renamed");
      const renamed = await run("rename", server.url, "A", "NEW", "--json");
      expect(JSON.parse(renamed.stdout)).toEqual({
        ok: true,
        to: server.url,
        dryRun: false,
        renamed: 2,
        edits: [{ ticker: "A", newTicker: "NEW", renamed: 2, seq: 1 }],
        stoppedBy: null,
      });
      const bars = await command(server.url, "get_stock_data", { ticker: "NEW" });
      expect(bars.body.data).toHaveLength(2);
    });
  });
}

test("ids and the ends of days", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "test.db");
  const database = await openTarget({ dbFile, durability: "normal" });
  const withId = (stamp: string, id: string) => [stamp, 1, 1, null, null, id, null, null];
  await database.writer.commit([
    {
      ...ticks("A", []),
      rows: [withId(at(1), "a"), withId(at(1), "b"), withId("2024-01-03 00:00:00.000000", "c")] as never,
    },
  ]);
  await database.close();
  const base = ["--tickers", "A", "--kind", "trades"];
  expect((await run("delete", dbFile, ...base, "--ids", "a,c", "--end", "2024-01-02")).stdout).toBe(
    "A: 1 row of trade ticks is deleted\n",
  );
  expect((await run("delete", dbFile, ...base, "--ids", "b", "--ids", "c,d")).stdout).toBe(
    "A: 2 rows of trade ticks are deleted\n",
  );
});

test("wrong usage says what is wrong, and opens nothing", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "test.db");
  const some = ["--tickers", "A", "--kind", "trades"];
  const wrong: [string[], string][] = [
    [["delete"], "expected --tickers"],
    [["delete", "--tickers", "A"], "expected --kind"],
    [["delete", ...some], "--all to delete all rows"],
    [["delete", ...some, "--all", "--end", "2024-01-02"], "beside it"],
    [["delete", ...some, "--end", "soon"], '--end "soon"'],
    [["delete", "--tickers", "A", "--kind", "options", "--all"], "expected ticks or bars"],
    [["delete", "--tickers", "A", "--kind", "interval", "--all"], "expected a length of bars"],
    [["delete", "--tickers", "A", "--kind", "daily", "--ids", "a"], "bars have none"],
    [["delete", "--tickers", "A", "--kind", "tradez", "--all"], '--kind "tradez"'],
    [["delete", ...some, "--all", "--to", "localhost:1"], "got both"],
    [["rename", "A"], "expected OLD and NEW"],
    [["rename", "A", "B", "C"], "expected OLD and NEW"],
    [["rename", "A", "A"], "the same ticker"],
  ];
  for (const [args, words] of wrong) {
    const { code, stdout, stderr } = await runCli([...args, "--db-file", dbFile]);
    expect([args, code, stdout, stderr]).toEqual([args, 2, "", expect.stringContaining(words)]);
  }
  const absent = await runCli(["rename", "A", "B", "--db-file", dbFile]);
  expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining("there is no database") });
  expect(existsSync(dbFile)).toBe(false);
  for (const name of ["delete", "rename"])
    expect((await runCli([name, "--help"])).stdout).toContain(`stock-db-server ${name}`);
});
