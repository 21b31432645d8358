/** What every driver gives a copy: all rows as they are stored, in order, piece by piece. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { SQL } from "bun";
import type { BarRow, Save, StockWriter, TickRow, TransferReader } from "../../src/storage/contract.ts";
import { KIND_NAMES, kindOf, type SeriesRow } from "../../src/storage/model/kinds.ts";
import { stampOf } from "../support/saves.ts";
import { tempDir } from "../support/temp-dir.ts";
import { DRIVERS } from "./drivers.ts";

setDefaultTimeout(120_000);

/** More than one page of any driver, once or twice over. */
const TICKS_MANY = 17_000;
const SAVE_ROWS = 10_000;

async function all<Row>(batches: AsyncIterable<Row[]>): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of batches) rows.push(...batch);
  return rows;
}

const bars = (ticker: string, interval: "daily" | "hourly", rows: BarRow[]): Save => ({
  kind: interval,
  part: null,
  ticker,
  rows,
  onDuplicate: "replace",
});

const ticks = (ticker: string, type: string, rows: TickRow[]): Save => ({
  kind: "ticks",
  ticker,
  part: type,
  rows,
  onDuplicate: "replace",
});

const everything = { from: null, to: null };

/** Open to be read, and what it is filled with. */
type Filled = TransferReader & Pick<StockWriter, "commit">;

async function save(database: Filled, saves: Save[]): Promise<void> {
  for (const outcome of await database.commit(saves)) expect(outcome).toMatchObject({ ok: true });
}

/** Of one series, in slices as a copy sends them. */
async function saveAll(database: Filled, { rows, ...series }: Save): Promise<void> {
  for (let at = 0; at < rows.length; at += SAVE_ROWS)
    await save(database, [{ ...series, rows: rows.slice(at, at + SAVE_ROWS) } as Save]);
}

/** Of PostgreSQL. */
async function tablesIn(dbFile: string): Promise<unknown[]> {
  const url = new URL(dbFile);
  const schema = url.searchParams.get("search_path") ?? "public";
  url.search = "";
  await using sql = new SQL(url.href, { max: 1 });
  return [...(await sql`SELECT tablename FROM pg_tables WHERE schemaname = ${schema}`)];
}

for (const driver of DRIVERS) {
  if (driver.absent !== undefined) {
    test.skip(`transfer: ${driver.name} (${driver.absent})`, () => {});
    continue;
  }
  const placeFor = driver.place();
  const place = async (dir: string): Promise<AsyncDisposable & { dbFile: string }> => {
    const dbFile = await placeFor(dir);
    if (driver.serve === undefined) return { dbFile, async [Symbol.asyncDispose]() {} };
    const server = await driver.serve(dbFile);
    return {
      dbFile: `127.0.0.1:${server.port}`,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  };
  const withDatabase = (name: string, body: (database: Filled) => Promise<void>): void =>
    test(name, async () => {
      using dir = tempDir();
      await using placed = await place(dir.path);
      const { writer, openTransfer, close } = await driver.engine.openTarget({
        dbFile: placed.dbFile,
        durability: "normal",
      });
      const reader = await openTransfer();
      // Bound first: of another server, reader and writer are one object.
      const commit = writer.commit.bind(writer);
      try {
        await body(Object.assign(reader, { commit }));
      } finally {
        await reader.close();
        await close();
      }
    });

  describe(`transfer: ${driver.name}`, () => {
    withDatabase("bars come back exactly, oldest first", async (database) => {
      const daily: BarRow[] = [
        ["1999-12-31", 0.1 + 0.2, 5e-324, 1.7976931348623157e308, -1.5, "9007199254740993", null],
        ["2024-01-02", null, null, null, null, null, null],
        ["2024-02-29", 1, 2, 3, 4, 0, null],
        ["2024-03-01", 1, 2, 3, 4, "-9223372036854775808", null],
      ];
      const hourly: BarRow[] = [["2024-01-02 15:00:00", 1, 2, 0.5, 1.25, Number.MAX_SAFE_INTEGER, null]];
      await save(database, [bars("A", "daily", daily), bars("A", "hourly", hourly)]);
      expect(await all(database.rows({ kind: "daily", part: null, ticker: "A", ...everything }))).toEqual(
        daily,
      );
      expect(await all(database.rows({ kind: "hourly", part: null, ticker: "A", ...everything }))).toEqual(
        hourly,
      );
      expect(await all(database.rows({ kind: "daily", part: null, ticker: "B", ...everything }))).toEqual([]);
    });

    withDatabase("bars of several lengths are series of their own", async (database) => {
      const row = (stamp: string, n: number): SeriesRow => [
        stamp,
        n,
        n,
        n,
        n,
        n,
        n / 3,
        "9007199254740993",
        null,
      ];
      const rowsOf = {
        "5min": [row("2024-01-02 09:30:00", 1), row("2024-01-02 09:35:00", 2)],
        "90s": [row("2024-01-02 09:30:00", 3)],
      };
      for (const [part, rows] of Object.entries(rowsOf))
        await save(database, [{ kind: "interval", ticker: "A", part, rows, onDuplicate: "replace" }]);
      expect((await database.parts("interval", "A")).toSorted()).toEqual(["5min", "90s"]);
      expect(await database.parts("interval", "B")).toEqual([]);
      expect(await database.parts("daily", "A")).toEqual([]);
      for (const [part, rows] of Object.entries(rowsOf))
        expect(await all(database.rows({ kind: "interval", ticker: "A", part, ...everything }))).toEqual(
          rows,
        );
    });

    withDatabase("ticks come back with their seq, by stamp and then by seq", async (database) => {
      const rows: TickRow[] = [
        [stampOf(1), 10.25, 7, null, null, null, null, 0],
        [stampOf(1), 10.25, 7, null, null, null, null, 1],
        [stampOf(1), 10.5, "9223372036854775807", 10.75, 3, null, null, 12],
        [stampOf(2), null, null, null, null, null, null, 0],
      ];
      await save(database, [ticks("A", "quote", rows), ticks("A", "trade", rows.slice(0, 1))]);
      expect((await database.parts("ticks", "A")).toSorted()).toEqual(["quote", "trade"]);
      expect(await database.parts("ticks", "B")).toEqual([]);
      expect(await all(database.rows({ kind: "ticks", ticker: "A", part: "quote", ...everything }))).toEqual(
        rows,
      );
      expect(
        await all(database.rows({ kind: "ticks", ticker: "A", part: "trade", ...everything })),
      ).toHaveLength(1);
    });

    withDatabase("bounds are inclusive at both ends", async (database) => {
      const rows = [1, 2, 3].map((n): TickRow => [stampOf(n), n, n, null, null, null, null, 0]);
      await save(database, [ticks("A", "trade", rows)]);
      const query = { kind: "ticks" as const, ticker: "A", part: "trade" };
      expect(await all(database.rows({ ...query, from: stampOf(2), to: null }))).toEqual(rows.slice(1));
      expect(await all(database.rows({ ...query, from: stampOf(1), to: stampOf(2) }))).toEqual(
        rows.slice(0, 2),
      );
      const days: BarRow[] = [
        ["2024-01-02", 1, 1, 1, 1, 1, null],
        ["2024-01-03", 1, 1, 1, 1, 1, null],
      ];
      await save(database, [bars("A", "daily", days)]);
      const found = database.rows({ kind: "daily", part: null, ticker: "A", from: "2024-01-03", to: null });
      expect(await all(found)).toEqual(days.slice(1));
    });

    withDatabase(
      "tickers of a kind come page by page, each once, whatever their letters",
      async (database) => {
        const tickers = ["BRK.B", "brk.b", "O'Neil", "Ä", "株式", "5", " A", "😀", "A%", "A_", 'A"', "Z"];
        const row: BarRow = ["2024-01-02", 1, 1, 1, 1, 1, null];
        await save(database, [
          ...tickers.map((ticker) => bars(ticker, "daily", [row])),
          ...tickers.map((ticker) => bars(ticker, "daily", [["2024-01-03", 1, 1, 1, 1, 1, null]])),
          bars("HOURLY", "hourly", [["2024-01-02 10:00:00", 1, 1, 1, 1, 1, null]]),
          ticks("TICKS", "trade", [[stampOf(1), 1, 1, null, null, null, null, 0]]),
        ]);
        const found: string[] = [];
        for (;;) {
          const page = await database.tickers("daily", found.at(-1) ?? null, 5);
          found.push(...page);
          if (page.length < 5) break;
        }
        expect(found.toSorted()).toEqual(tickers.toSorted());
        expect(await database.tickers("hourly", null, 5)).toEqual(["HOURLY"]);
        expect(await database.tickers("ticks", null, 5)).toEqual(["TICKS"]);
        for (const ticker of tickers)
          expect(await all(database.rows({ kind: "daily", part: null, ticker, ...everything }))).toHaveLength(
            2,
          );
      },
    );

    withDatabase("many rows come in batches, and saves between them disturb nothing", async (database) => {
      const rows = Array.from({ length: TICKS_MANY }, (_, n): TickRow => {
        return [stampOf(Math.floor(n / 3)), n, n % 7, null, null, null, null, n % 3];
      });
      await save(database, [ticks("A", "trade", rows)]);
      const walked: SeriesRow[] = [];
      let batches = 0;
      for await (const batch of database.rows({ kind: "ticks", ticker: "A", part: "trade", ...everything })) {
        batches++;
        walked.push(...batch);
        // At a key that was passed, and in another series.
        await save(database, [
          ticks("A", "trade", [batch[0] as TickRow]),
          ticks("A", "quote", [[stampOf(batches), 1, 1, null, null, null, null, 0]]),
        ]);
      }
      expect(batches).toBeGreaterThan(1);
      expect(walked).toEqual(rows);
    });

    withDatabase("a walk that is given up leaves the database usable", async (database) => {
      const rows = Array.from(
        { length: TICKS_MANY },
        (_, n): TickRow => [stampOf(n), n, 1, null, null, null, null, 0],
      );
      await save(database, [ticks("A", "trade", rows)]);
      for (let i = 0; i < 20; i++)
        for await (const batch of database.rows({
          kind: "ticks",
          ticker: "A",
          part: "trade",
          ...everything,
        })) {
          expect(batch[0]).toEqual(rows[0]);
          break;
        }
      await save(database, [ticks("A", "trade", [[stampOf(0), -1, 1, null, null, null, null, 0]])]);
    });

    withDatabase("every page begins where the one before ended", async (database) => {
      // Borders of pages fall within one stamp, and a count at a border is rewritten while it is
      // walked over.
      const rows = Array.from({ length: TICKS_MANY * 2 }, (_, n): TickRow => {
        return [stampOf(Math.floor(n / 5_000)), n, n, null, null, null, null, n % 5_000];
      });
      await saveAll(database, ticks("A", "trade", rows));
      const walked: SeriesRow[] = [];
      for await (const batch of database.rows({ kind: "ticks", ticker: "A", part: "trade", ...everything })) {
        walked.push(...batch);
        const [stamp, price, , , , , , seq] = batch.at(-1) as TickRow;
        await save(database, [ticks("A", "trade", [[stamp, price, 77, null, null, null, null, seq]])]);
      }
      expect(walked).toEqual(rows);
      const days = Array.from({ length: TICKS_MANY }, (_, n): BarRow => {
        return [new Date(Date.UTC(1900, 0, n + 1)).toISOString().slice(0, 10), 1, 1, 1, n, n, null];
      });
      await saveAll(database, bars("A", "daily", days));
      const found: SeriesRow[] = [];
      for await (const batch of database.rows({ kind: "daily", part: null, ticker: "A", ...everything })) {
        found.push(...batch);
        await save(database, [bars("A", "daily", [[batch.at(-1)![0], 1, 1, 1, 1, 99, null]])]);
      }
      expect(found).toEqual(days);
    });

    test("what isn't there is not created by reading it", async () => {
      using dir = tempDir();
      await using placed = await place(dir.path);
      const before = readdirSync(dir.path);
      const { dbFile } = placed;
      const reader = await driver.engine.openToRead(dbFile);
      if (!driver.engine.isShared && driver.serve === undefined) expect(reader).toBeNull();
      else {
        expect(await reader!.tickers("daily", null, 5)).toEqual([]);
        expect(await reader!.parts("ticks", "A")).toEqual([]);
        for (const kind of KIND_NAMES) {
          // An interval has to be one; any word is a type of ticks.
          const part = kindOf(kind).part === null ? null : "1min";
          expect(await all(reader!.rows({ kind, part, ticker: "A", ...everything }))).toEqual([]);
        }
        await reader!.close();
        if (driver.serve === undefined) expect(await tablesIn(dbFile)).toEqual([]);
      }
      expect(readdirSync(dir.path)).toEqual(before);
    });
  });
}
