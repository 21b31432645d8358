/** What every storage driver does alike. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { AVERAGE_COLUMNS, continueAverages, startState } from "../../src/market/moving-averages.ts";
import type { BarRow, JsonRows, Save, SaveBars, SaveTicks, TickRow } from "../../src/storage/contract.ts";
import { type Row, rowsOf, textOf } from "../support/answered.ts";
import { randomNumbers } from "../support/random.ts";
import { tempDir } from "../support/temp-dir.ts";
import { type Capability, DRIVERS, type OpenDatabase } from "./drivers.ts";

setDefaultTimeout(120_000);

/** Of a test that makes dozens of databases, which takes some engines a tenth of a second each. */
const MANY_DATABASES_TIMEOUT_MS = 240_000;

/** The whole text of an answer, with W for the times of writing, which no two runs have in common. */
async function timelessTextOf(rows: JsonRows | Promise<JsonRows>): Promise<string> {
  const text = await textOf(rows);
  return text.replace(/(?<="write_timestamp":")\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{6}/g, "W");
}

const allBars = (db: OpenDatabase, ticker: string, interval: "daily" | "hourly" = "daily"): Promise<Row[]> =>
  rowsOf(db.reader.bars({ interval, ticker, from: null, to: null }));
const allTicks = (db: OpenDatabase, ticker: string, type = "trade"): Promise<Row[]> =>
  rowsOf(db.reader.ticks({ ticker, type, from: null, to: null }));

function daily(
  ticker: string,
  closes: [date: string, close: number | null][],
  onDuplicate: SaveBars["onDuplicate"] = "replace",
): SaveBars {
  return {
    kind: "bars",
    interval: "daily",
    ticker,
    rows: closes.map(([date, close]): BarRow => [date, close, close, close, close, 100]),
    onDuplicate,
  };
}

function ticks(
  ticker: string,
  rows: [stamp: string, price: number, seq?: number][],
  onDuplicate: SaveTicks["onDuplicate"] = "append",
): SaveTicks {
  return {
    kind: "ticks",
    ticker,
    type: "trade",
    rows: rows.map(([stamp, price, seq]): TickRow => [stamp, price, 100, null, null, seq ?? null]),
    onDuplicate,
  };
}

const at = (second: number): string => `2024-01-02 10:00:${String(second).padStart(2, "0")}.000000`;
const dateOf = (day: number): string =>
  new Date(Date.UTC(2000, 0, 1) + day * 86_400_000).toISOString().slice(0, 10);

for (const driver of DRIVERS) {
  if (driver.absent !== undefined) {
    test.skip(`storage: ${driver.name} (${driver.absent})`, () => {});
    continue;
  }
  describe(`storage: ${driver.name}`, () => {
    const openIn = driver.prepare();
    const open = (dir: { path: string }): Promise<OpenDatabase> => openIn(dir.path);
    /** A test of something that not every driver can do. */
    const testOf = (capability: Capability, name: string, run: () => Promise<void>): void => {
      const reason = driver.lacks[capability];
      if (reason === undefined) test(name, run);
      else test.skip(`${name} (${capability}: ${reason})`, run);
    };

    test("a saved bar is read back, stamps in wire form", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const outcomes = await db.writer.commit([daily("A", [["2024-01-02", 100.5]])]);
      expect(outcomes).toMatchObject([{ ok: true, stored: 1 }]);
      const [row] = await allBars(db, "A");
      expect(row).toMatchObject({
        date: "2024-01-02T00:00:00.000000Z",
        ticker: "A",
        close: 100.5,
        volume: 100,
        ma_10: null,
      });
    });

    test("a save touches no row that it does not carry", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([
        daily("A", [
          ["2024-01-02", 1],
          ["2024-01-03", 2],
          ["2024-01-04", 3],
        ]),
      ]);
      await db.writer.commit([
        daily("A", [
          ["2024-01-02", 9],
          ["2024-01-04", 8],
        ]),
      ]);
      expect((await allBars(db, "A")).map((row) => row.close)).toEqual([9, 2, 8]);
    });

    test("bars: replace, keep and error", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([daily("A", [["2024-01-02", 1]])]);
      expect(
        await db.writer.commit([
          daily(
            "A",
            [
              ["2024-01-02", 2],
              ["2024-01-03", 3],
            ],
            "keep",
          ),
        ]),
      ).toMatchObject([{ ok: true, stored: 1 }]);
      expect((await allBars(db, "A")).map((row) => row.close)).toEqual([1, 3]);
      const [refused] = await db.writer.commit([
        daily(
          "A",
          [
            ["2024-01-03", 7],
            ["2024-01-04", 7],
          ],
          "error",
        ),
      ]);
      expect(refused).toMatchObject({ ok: false, status: 409, details: "2024-01-03" });
      expect((await allBars(db, "A")).map((row) => row.close)).toEqual([1, 3]);
    });

    test("a refused save of a batch leaves the others of the batch stored", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([daily("A", [["2024-01-02", 1]])]);
      const outcomes = await db.writer.commit([
        daily("B", [["2024-01-02", 1]]),
        daily("A", [["2024-01-02", 2]], "error"),
        ticks("C", [[at(1), 5]]),
      ]);
      expect(outcomes.map((outcome) => outcome?.ok)).toEqual([true, false, true]);
      expect(await allBars(db, "B")).toHaveLength(1);
      expect(await allTicks(db, "C")).toHaveLength(1);
    });

    test("equal ticks of one save are all kept, and the same save again changes nothing", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const save = ticks("A", [
        [at(1), 5],
        [at(1), 5],
        [at(1), 6],
        [at(2), 7],
      ]);
      expect(await db.writer.commit([save])).toMatchObject([{ ok: true, stored: 4 }]);
      expect(await db.writer.commit([save])).toMatchObject([{ ok: true, stored: 0 }]);
      expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([5, 5, 6, 7]);
    });

    test("a later tick whose key is taken by other values takes the next free seq, once", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([ticks("A", [[at(1), 5]])]);
      const later = ticks("A", [[at(1), 6]]);
      expect(await db.writer.commit([later])).toMatchObject([{ ok: true, stored: 1 }]);
      expect(await db.writer.commit([later])).toMatchObject([{ ok: true, stored: 0 }]);
      expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([5, 6]);
    });

    for (const seqs of [
      [undefined, undefined],
      [0, 1],
      [1, undefined],
    ] as const) {
      test(`equal ticks of one save that meet a stored tick of other values are all kept (seq ${seqs.join(", ")})`, async () => {
        using dir = tempDir();
        await using db = await open(dir);
        await db.writer.commit([ticks("A", [[at(1), 1]])]);
        const save = ticks(
          "A",
          seqs.map((seq): [string, number, number?] => (seq === undefined ? [at(1), 5] : [at(1), 5, seq])),
        );
        expect(await db.writer.commit([save])).toMatchObject([{ ok: true, stored: 2 }]);
        expect(await db.writer.commit([save])).toMatchObject([{ ok: true, stored: 0 }]);
        expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([1, 5, 5]);
      });
    }

    test("one key twice in a save with the same values is one tick", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      expect(
        await db.writer.commit([
          ticks("A", [
            [at(1), 5, 0],
            [at(1), 5, 0],
          ]),
        ]),
      ).toMatchObject([{ ok: true, stored: 1 }]);
    });

    test(
      "any save of ticks can be repeated without changing anything",
      async () => {
        for (let seed = 1; seed <= 40; seed++) {
          using dir = tempDir();
          await using db = await open(dir);
          const random = randomNumbers(seed);
          const pick = (n: number): number => Math.floor(random() * n);
          const saves = Array.from({ length: 6 }, () =>
            ticks(
              "A",
              Array.from({ length: 1 + pick(6) }, (): [string, number, number?] =>
                pick(3) === 0 ? [at(pick(2)), pick(3), pick(4)] : [at(pick(2)), pick(3)],
              ),
            ),
          );
          for (const save of saves) {
            await db.writer.commit([save]);
            const [again] = await db.writer.commit([save]);
            expect({ seed, again }).toMatchObject({ seed, again: { ok: true, stored: 0 } });
          }
        }
      },
      MANY_DATABASES_TIMEOUT_MS,
    );

    test("a tick with its own seq, replace, and error", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([
        ticks("A", [
          [at(1), 5, 3],
          [at(1), 4, 0],
        ]),
      ]);
      await db.writer.commit([ticks("A", [[at(1), 9, 3]], "replace")]);
      expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([4, 9]);
      const [refused] = await db.writer.commit([
        ticks(
          "A",
          [
            [at(1), 1, 3],
            [at(2), 1],
          ],
          "error",
        ),
      ]);
      expect(refused).toMatchObject({ ok: false, status: 409, details: `${at(1)} seq 3` });
      expect(await allTicks(db, "A")).toHaveLength(2);
    });

    test("one late tick into a range of stored ticks deletes none of them", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([
        ticks("A", [
          [at(1), 1],
          [at(3), 3],
        ]),
      ]);
      await db.writer.commit([ticks("A", [[at(2), 2]])]);
      expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([1, 2, 3]);
    });

    test("ranges are inclusive at both ends", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([
        ticks("A", [
          [at(1), 1],
          [at(2), 2],
          [at(3), 3],
        ]),
      ]);
      const found = await rowsOf(db.reader.ticks({ ticker: "A", type: "trade", from: at(1), to: at(2) }));
      expect(found.map((row) => row.price)).toEqual([1, 2]);
    });

    test("integers of 64 bits are compared as what they are", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const save: SaveTicks = {
        ...ticks("A", []),
        rows: [[at(1), 1, "9007199254740993", null, null, null]],
      };
      expect(await db.writer.commit([save])).toMatchObject([{ ok: true, stored: 1 }]);
      expect(await db.writer.commit([save])).toMatchObject([{ ok: true, stored: 0 }]);
    });

    testOf("numberText", "answers are the same text from every engine", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const big = "9223372036854775807";
      await db.writer.commit([
        {
          kind: "bars",
          interval: "daily",
          ticker: 'é "\\ ',
          rows: [
            ["1999-12-31", 0.1, 1e21, 1.5e-7, 5, big],
            ["2000-02-29", null, null, null, null, null],
            ["2262-04-11", -0.5, 0, 123456.789, 1e15, -(2 ** 60)],
          ],
          onDuplicate: "replace",
        },
        {
          kind: "bars",
          interval: "hourly",
          ticker: "H",
          rows: [["2024-01-02 10:00:00", 1, 2, 0.5, 1.25, 2 ** 53]],
          onDuplicate: "replace",
        },
        {
          kind: "ticks",
          ticker: "T",
          type: "quote",
          rows: [
            ["1677-09-22 00:00:00.000001", 1, 2, 3, 4, null],
            ["2024-01-02 10:00:00.120000", null, null, null, null, null],
            ["2024-01-02 10:00:00.120000", 1.1, "9007199254740993", 1.2, big, null],
          ],
          onDuplicate: "append",
        },
      ]);
      expect(
        await timelessTextOf(db.reader.bars({ interval: "daily", ticker: 'é "\\ ', from: null, to: null })),
      ).toBe(
        `{"data":[${[
          ["1999-12-31", `"open":0.1,"high":1e+21,"low":1.5e-7,"close":5,"volume":${big}`],
          ["2000-02-29", '"open":null,"high":null,"low":null,"close":null,"volume":null'],
          [
            "2262-04-11",
            '"open":-0.5,"high":0,"low":123456.789,"close":1000000000000000,"volume":-1152921504606846976',
          ],
        ]
          .map(
            ([date, values]) =>
              `{"date":"${date}T00:00:00.000000Z","ticker":"é \\"\\\\ ",${values},${AVERAGE_COLUMNS.map((name) => `"${name}":null`).join(",")},"write_timestamp":"W+00:00"}`,
          )
          .join(",")}]}`,
      );
      expect(
        await timelessTextOf(db.reader.bars({ interval: "hourly", ticker: "H", from: null, to: null })),
      ).toBe(
        '{"data":[{"datetime":"2024-01-02T10:00:00.000000Z","ticker":"H","open":1,"high":2,"low":0.5,"close":1.25,"volume":9007199254740992,"write_timestamp":"W+00:00"}]}',
      );
      const ticksText =
        '{"data":[{"timestamp":"1677-09-22T00:00:00.000001Z","ticker":"T","type":"quote","price":1,"size":2,"ask_price":3,"ask_size":4,"write_timestamp":"WZ"},' +
        '{"timestamp":"2024-01-02T10:00:00.120000Z","ticker":"T","type":"quote","price":null,"size":null,"ask_price":null,"ask_size":null,"write_timestamp":"WZ"},' +
        `{"timestamp":"2024-01-02T10:00:00.120000Z","ticker":"T","type":"quote","price":1.1,"size":9007199254740993,"ask_price":1.2,"ask_size":${big},"write_timestamp":"WZ"}]}`;
      expect(
        await timelessTextOf(db.reader.ticks({ ticker: "T", type: "quote", from: null, to: null })),
      ).toBe(ticksText);
      expect(await timelessTextOf(db.reader.newestTicks({ ticker: "T", type: null, limit: 9 }))).toBe(
        ticksText,
      );
    });

    testOf("fractionalCounts", "a size with a fraction is stored as it is", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const save: SaveTicks = { ...ticks("A", []), rows: [[at(1), 1, 0.25, null, null, null]] };
      expect(await db.writer.commit([save])).toMatchObject([{ ok: true, stored: 1 }]);
      expect(await db.writer.commit([save])).toMatchObject([{ ok: true, stored: 0 }]);
      expect((await allTicks(db, "A"))[0]!.size).toBe(0.25);
    });

    test("bounds are inclusive, of days and of hours", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const hour = (n: number): string => `2024-01-02 0${n}:00:00`;
      await db.writer.commit([
        daily(
          "A",
          [1, 2, 3, 4].map((day) => [`2024-01-0${day}`, day]),
        ),
        {
          kind: "bars",
          interval: "hourly",
          ticker: "A",
          rows: [1, 2, 3, 4].map((n): BarRow => [hour(n), n, n, n, n, n]),
          onDuplicate: "replace",
        },
      ]);
      const closes = async (interval: "daily" | "hourly", from: string | null, to: string | null) =>
        (await rowsOf(db.reader.bars({ interval, ticker: "A", from, to }))).map((row) => row.close);
      expect(await closes("daily", "2024-01-02", "2024-01-03")).toEqual([2, 3]);
      expect(await closes("daily", null, "2024-01-02")).toEqual([1, 2]);
      expect(await closes("hourly", hour(2), hour(3))).toEqual([2, 3]);
      expect(await closes("hourly", hour(3), null)).toEqual([3, 4]);
      expect(await closes("hourly", "2025-01-01 00:00:00", "9999-12-31 23:59:59")).toEqual([]);
    });

    test("tickers are what they are: case, blanks, quotes, and what SQL means something by", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const names = [
        "a",
        "A",
        " A",
        "A ",
        "'; DROP TABLE daily_prices; --",
        '{"NULL"}',
        "NULL",
        "\\",
        "é😀",
        "%",
      ];
      await db.writer.commit(names.map((name, i) => daily(name, [["2024-01-02", i]])));
      for (const [i, name] of names.entries())
        expect({ name, price: await db.reader.latestPrice(name) }).toEqual({ name, price: i });
      expect(await db.reader.latestPrice("nothing\0")).toBeNull();
      const [held] = await db.reader.holdings(100);
      expect(held!.tickers).toEqual(
        [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    });

    test("saves of one ticker in one batch count in their order", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const outcomes = await db.writer.commit([
        daily("A", [["2024-01-02", 1]]),
        daily("A", [["2024-01-02", 2]]),
        daily("A", [["2024-01-02", 3]], "keep"),
        daily("A", [["2024-01-02", 4]], "error"),
        daily("A", [["2024-01-03", 5]], "error"),
        daily("A", [["2024-01-03", 6]], "error"),
        ticks("A", [[at(1), 1]]),
        ticks("A", [[at(1), 1]]),
        ticks("A", [[at(1), 2]]),
        ticks("A", [[at(1), 3]], "replace"),
        ticks("A", [[at(1), 4, 1]], "error"),
        ticks("A", [[at(1), 5, 2]], "error"),
      ]);
      expect(outcomes.map((outcome) => (outcome?.ok ? outcome.stored : outcome?.status))).toEqual([
        1, 1, 0, 409, 1, 409, 1, 0, 1, 1, 409, 1,
      ]);
      expect((await allBars(db, "A")).map((row) => row.close)).toEqual([2, 5]);
      expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([3, 2, 5]);
    });

    test(
      "a batch of saves is as if each had been committed alone",
      async () => {
        for (let seed = 1; seed <= 8; seed++) {
          using dir = tempDir();
          using other = tempDir();
          await using together = await open(dir);
          await using alone = await open(other);
          const random = randomNumbers(seed);
          const pick = (n: number): number => Math.floor(random() * n);
          const saves = Array.from({ length: 60 }, (): Save => {
            const ticker = ["A", "B", "C"][pick(3)]!;
            if (pick(2) === 0) {
              const rows = Array.from({ length: 1 + pick(4) }, (): [string, number, number?] =>
                pick(3) === 0 ? [at(pick(3)), pick(3), pick(4)] : [at(pick(3)), pick(3)],
              );
              return ticks(ticker, rows, (["append", "append", "replace", "error"] as const)[pick(4)]!);
            }
            const first = pick(20);
            const dates = Array.from({ length: 1 + pick(5) }, (_, i): [string, number] => [
              dateOf(first + i),
              pick(50),
            ]);
            return daily(ticker, dates, (["replace", "keep", "error"] as const)[pick(3)]!);
          });
          const outcomes = await together.writer.commit(saves);
          const expected = [];
          for (const save of saves) expected.push(...(await alone.writer.commit([save])));
          expect({ seed, outcomes }).toEqual({ seed, outcomes: expected });
          for (const ticker of ["A", "B", "C"]) {
            for (const of of [allBars, allTicks] as const) {
              const unwritten = (rows: Row[]): Row[] => rows.map(({ write_timestamp: _, ...row }) => row);
              expect(unwritten(await of(together, ticker))).toEqual(unwritten(await of(alone, ticker)));
            }
          }
        }
      },
      MANY_DATABASES_TIMEOUT_MS,
    );

    test("a rule that users made refuses only the save that breaks it", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.execute("CREATE UNIQUE INDEX one_a_stamp ON realtime_data (ticker, type, timestamp)");
      const outcomes = await db.writer.commit([
        ticks("A", [[at(1), 1]]),
        ticks("A", [
          [at(2), 1],
          [at(1), 2],
        ]),
        daily("A", [["2024-01-02", 1]]),
        ticks("A", [[at(3), 3]]),
      ]);
      expect(outcomes.map((outcome) => outcome?.ok)).toEqual([true, false, true, true]);
      expect(outcomes[1]).toMatchObject({ status: 409 });
      expect((await allTicks(db, "A")).map((row) => row.price)).toEqual([1, 3]);
      expect(await allBars(db, "A")).toHaveLength(1);
    });

    test("after a statement of another program, saves of keys that are stored meet them", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const stamp = "2024-01-02 10:00:00";
      const hourly = (ticker: string, close: number, onDuplicate: SaveBars["onDuplicate"]): SaveBars => ({
        kind: "bars",
        interval: "hourly",
        ticker,
        rows: [[stamp, close, close, close, close, 100]],
        onDuplicate,
      });
      const names = ["AAPL", "BRK.B, class of 1996", "AAPL240119C00150000", "Ä€漢"];
      const afterStatement = async (saves: Save[]) => {
        await db.execute("DELETE FROM daily_prices WHERE ticker = 'nobody'");
        return db.writer.commit(saves);
      };
      for (const name of names) {
        // The longer a name, the later it comes: what an engine has learned from those before it must not matter.
        expect(
          await afterStatement([
            ticks(name, [[at(1), 1]]),
            hourly(name, 1, "replace"),
            daily(name, [["2024-01-02", 1]]),
          ]),
        ).toMatchObject([{ stored: 1 }, { stored: 1 }, { stored: 1 }]);
        expect(
          await afterStatement([
            ticks(name, [[at(1), 1]]),
            hourly(name, 2, "keep"),
            daily(name, [["2024-01-02", 2]], "keep"),
          ]),
        ).toMatchObject([{ stored: 0 }, { stored: 0 }, { stored: 0 }]);
        expect(
          await afterStatement([
            ticks(name, [[at(1), 3]], "error"),
            hourly(name, 3, "error"),
            daily(name, [["2024-01-02", 3]], "error"),
          ]),
        ).toMatchObject([{ status: 409 }, { status: 409 }, { status: 409 }]);
        expect(
          await afterStatement([
            ticks(name, [[at(1), 4]], "replace"),
            hourly(name, 4, "replace"),
            daily(name, [["2024-01-02", 4]], "replace"),
          ]),
        ).toMatchObject([{ stored: 1 }, { stored: 1 }, { stored: 1 }]);
      }
      for (const name of names) {
        expect(await allTicks(db, name)).toMatchObject([{ price: 4 }]);
        expect(await allBars(db, name, "hourly")).toMatchObject([{ close: 4 }]);
        expect(await allBars(db, name)).toMatchObject([{ close: 4 }]);
        expect(await db.reader.tickTypes(name)).toEqual(["trade"]);
      }
      expect((await db.reader.tickers("ticks", null, 10)).toSorted()).toEqual(names.toSorted());
      expect(await db.writer.isEmpty()).toBe(false);
    });

    test("a database is empty until something is stored", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      expect(await db.writer.isEmpty()).toBe(true);
      await db.writer.commit([ticks("A", [[at(1), 1]])]);
      expect(await db.writer.isEmpty()).toBe(false);
    });

    test("an answer of many rows comes in chunks of one snapshot", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const many = Array.from({ length: 5_500 }, (_, i): [string, number] => [
        `2024-01-02 10:${String(Math.floor(i / 100)).padStart(2, "0")}:00.${String(i % 100).padStart(6, "0")}`,
        i,
      ]);
      await db.writer.commit([ticks("A", many)]);
      const found = await db.reader.ticks({ ticker: "A", type: "trade", from: null, to: null });
      if (found.empty || !("chunks" in found)) throw new Error("expected chunks");
      // After the snapshot was taken:
      await db.writer.commit([
        ticks("A", [
          ["2024-01-03 00:00:00.000000", -1],
          ["2024-01-01 00:00:00.000000", -1],
        ]),
      ]);
      let text = "";
      let chunks = 0;
      for await (const chunk of found.chunks) {
        text += chunk;
        chunks++;
      }
      expect(chunks).toBeGreaterThan(3);
      const prices = (JSON.parse(text) as { data: { price: number }[] }).data.map((row) => row.price);
      expect(prices).toEqual(many.map(([, price]) => price));
      expect(await allTicks(db, "A")).toHaveLength(5_502);
    });

    test("a stream that is given up frees its connection", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([
        ticks(
          "A",
          Array.from({ length: 3_000 }, (_, i) => [`2024-01-02 10:00:00.${String(i).padStart(6, "0")}`, i]),
        ),
      ]);
      const free = (await db.reader.pool()).available_connections;
      const found = await db.reader.ticks({ ticker: "A", type: "trade", from: null, to: null });
      if (found.empty || !("chunks" in found)) throw new Error("expected chunks");
      expect((await db.reader.pool()).available_connections).toBe(free - 1);
      const chunks = found.chunks[Symbol.asyncIterator]();
      await chunks.next();
      await chunks.return?.();
      expect((await db.reader.pool()).available_connections).toBe(free);
    });

    test("a stream that nobody ever began frees its connection too", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([
        ticks(
          "A",
          Array.from({ length: 3_000 }, (_, i) => [`2024-01-02 10:00:00.${String(i).padStart(6, "0")}`, i]),
        ),
      ]);
      const free = (await db.reader.pool()).available_connections;
      const found = await db.reader.ticks({ ticker: "A", type: "trade", from: null, to: null });
      if (found.empty || !("chunks" in found)) throw new Error("expected chunks");
      await found.chunks[Symbol.asyncIterator]().return?.();
      expect((await db.reader.pool()).available_connections).toBe(free);
    });

    test("latest price: newest date wins; on one date quote, trade, hourly, daily; nulls don't count", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const quote = (stamp: string, price: number | null): Save => ({
        ...ticks("A", []),
        type: "quote",
        rows: [[stamp, price, 1, null, null, null]],
      });
      const hourly = (stamp: string, close: number): Save => ({
        ...daily("A", []),
        interval: "hourly",
        rows: [[stamp, 1, 1, 1, close, 1]],
      });
      expect(await db.reader.latestPrice("A")).toBeNull();
      await db.writer.commit([daily("A", [["2024-01-02", 1]])]);
      expect(await db.reader.latestPrice("A")).toBe(1);
      await db.writer.commit([hourly("2024-01-02 10:00:00", 2)]);
      expect(await db.reader.latestPrice("A")).toBe(2);
      await db.writer.commit([ticks("A", [["2024-01-02 09:00:00.000000", 3]])]);
      expect(await db.reader.latestPrice("A")).toBe(3);
      await db.writer.commit([quote("2024-01-02 08:00:00.000000", 4)]);
      expect(await db.reader.latestPrice("A")).toBe(4);
      await db.writer.commit([quote("2024-01-02 23:00:00.000000", null)]);
      expect(await db.reader.latestPrice("A")).toBe(4);
      await db.writer.commit([
        daily("A", [
          ["2024-01-03", 5],
          ["2024-01-04", null],
        ]),
      ]);
      expect(await db.reader.latestPrice("A")).toBe(5);
    });

    test("previous close, opening price, newest ticks", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([
        daily("A", [
          ["2024-01-02", 1],
          ["2024-01-03", 2],
        ]),
        daily("B", [["2024-01-02", 7]]),
        ticks("A", [
          [at(1), 1],
          [at(2), 2],
          [at(3), 3],
        ]),
      ]);
      expect(await db.reader.previousClose("A")).toBe(1);
      expect(await db.reader.previousClose("B")).toBe(7);
      expect(await db.reader.previousClose("C")).toBeNull();
      expect(await db.reader.openingPrice("A", "2024-01-03")).toBe(2);
      const newest = await rowsOf(db.reader.newestTicks({ ticker: "A", type: "trade", limit: 2 }));
      expect(newest.map((row) => row.price)).toEqual([2, 3]);
      expect(await rowsOf(db.reader.newestTicks({ ticker: "A", type: null, limit: 9 }))).toHaveLength(3);
    });

    // Whatever the order and the pieces in which a series was saved, what is read equals one computation over all of it.
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      test(`moving averages are those of the whole series (seed ${seed})`, async () => {
        using dir = tempDir();
        await using db = await open(dir);
        const random = randomNumbers(seed);
        const series = new Map<string, number | null>();
        const length = 150 + Math.floor(random() * 600);
        for (let step = 0; step < 25; step++) {
          const first = Math.floor(random() * length);
          const count = random() < 0.5 ? 1 + Math.floor(random() * 4) : Math.floor(random() * 300);
          const gap = 1 + Math.floor(random() * 3);
          const piece: [string, number | null][] = [];
          for (let i = 0; i < count; i++) {
            const close = random() < 0.05 ? null : Math.round((50 + random() * 100) * 100) / 100;
            piece.push([dateOf(first + i * gap), close]);
          }
          if (piece.length === 0) continue;
          const keep = random() < 0.2;
          for (const [date, close] of piece) if (!keep || !series.has(date)) series.set(date, close);
          await db.writer.commit([daily("A", piece, keep ? "keep" : "replace")]);
          if (step % 5 === 4) await expectAverages(db, series);
        }
        await expectAverages(db, series);
      });
    }

    test("one more day after many doesn't recompute them: only what is near the end is read and written", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const days = 5_000;
      await db.writer.commit([
        daily(
          "A",
          Array.from({ length: days }, (_, day) => [dateOf(day), 50 + (day % 90)]),
        ),
      ]);
      // A mark that a recomputation would wipe out, long before the last checkpoint.
      await db.execute(`UPDATE daily_prices SET ma_10 = -1 WHERE date = '${dateOf(1_000)}'`);
      await db.writer.commit([daily("A", [[dateOf(days), 60]])]);
      const rows = await allBars(db, "A");
      expect(rows[1_000]!.ma_10).toBe(-1);
      expect(rows).toHaveLength(days + 1);
      expect(rows.at(-1)!.ma_200).not.toBeNull();
      // A correction before the mark does recompute what follows it.
      await db.writer.commit([daily("A", [[dateOf(900), 51]])]);
      expect((await allBars(db, "A"))[1_000]!.ma_10).not.toBe(-1);
    });

    test("saves of one ticker in one transaction leave what they would leave one after the other", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([
        daily("A", [
          ["2024-01-02", 1],
          ["2024-01-03", 2],
        ]),
      ]);
      const outcomes = await db.writer.commit([
        daily("A", [
          ["2024-01-03", 3],
          ["2024-01-04", 4],
        ]),
        daily("B", [["2024-01-04", 9]]),
        daily(
          "A",
          [
            ["2024-01-04", 5],
            ["2024-01-05", 6],
          ],
          "keep",
        ),
        daily("A", [["2024-01-05", 7]], "error"),
        daily("A", [["2024-01-01", 8]], "error"),
        daily("A", [["2024-01-02", 0]]),
      ]);
      expect(outcomes.map((outcome) => (outcome?.ok ? outcome.stored : outcome?.status))).toEqual([
        2, 1, 1, 409, 1, 1,
      ]);
      expect((await allBars(db, "A")).map((row) => row.close)).toEqual([8, 0, 3, 4, 6]);
      expect((await allBars(db, "B")).map((row) => row.close)).toEqual([9]);
    });

    test("after another program changed a close, the next save puts every average right", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      const series = new Map<string, number | null>();
      for (let day = 0; day < 700; day++) series.set(dateOf(day), 50 + ((day * 37) % 100) / 4);
      await db.writer.commit([daily("A", [...series])]);
      await db.execute(`UPDATE daily_prices SET close = 999 WHERE ticker = 'A' AND date = '${dateOf(100)}'`);
      await db.execute(`DELETE FROM daily_prices WHERE ticker = 'A' AND date = '${dateOf(300)}'`);
      series.set(dateOf(100), 999);
      series.delete(dateOf(300));
      series.set(dateOf(700), 60);
      await db.writer.commit([daily("A", [[dateOf(700), 60]])]);
      await expectAverages(db, series);
    });

    testOf("noticesOthers", "changes by others are noticed, the writer's own are not", async () => {
      using dir = tempDir();
      await using db = await open(dir);
      await db.writer.commit([daily("A", [["2024-01-02", 1]])]);
      expect(await db.writer.changedByOthers()).toBe(false);
      await db.execute("DELETE FROM daily_prices");
      expect(await db.writer.changedByOthers()).toBe(true);
      expect(await db.writer.changedByOthers()).toBe(false);
    });
  });
}

async function expectAverages(db: OpenDatabase, series: Map<string, number | null>): Promise<void> {
  const dates = [...series.keys()].sort();
  const closes = dates.map((date) => series.get(date) ?? null);
  const expected = continueAverages(startState(), [], closes).rows;
  const rows = await allBars(db, "A");
  expect(rows.map((row) => row.close)).toEqual(closes);
  expect(rows.map((row) => AVERAGE_COLUMNS.map((name) => row[name]))).toEqual(expected);
}
