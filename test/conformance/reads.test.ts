/** What every storage driver answers. */
import { expect } from "bun:test";
import { noteAnsweredRows } from "../../src/commands/counted-rows.ts";
import { marketClock } from "../../src/market/market-day.ts";
import { AVERAGE_COLUMNS } from "../../src/market/moving-averages.ts";
import type { BarRow, JsonRows, Save } from "../../src/storage/contract.ts";
import { rowsOf, textOf } from "../support/answered.ts";
import { at, daily, ticks, utcDay } from "../support/saves.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";
import { allTicks } from "./saves.ts";

const ALL_PARTS = { parts: null, by: "stamp", where: [], columns: null } as const;

/**
 * The whole text of an answer, with W for the times of writing, which no two runs have in common.
 */
async function timelessTextOf(rows: JsonRows | Promise<JsonRows>): Promise<string> {
  const text = await textOf(rows);
  return text.replace(/(?<="write_timestamp":")\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{6}/g, "W");
}

/** Saves and reads prices of one ticker. */
function pricesOf({ writer, reader }: OpenDatabase) {
  const rowsOf = (kind: string, stamp: string, price: number | null, size: number | null): Partial<Save> => {
    if (kind === "daily" || kind === "hourly")
      return { kind, rows: [[stamp, price, price, price, price, size]] };
    return {
      kind: "ticks",
      part: kind,
      rows: [[stamp, price, size, null, null, null, null, null]],
      onDuplicate: "match",
    };
  };
  return {
    save: (kind: string, stamp: string, price: number | null, size: number | null = 1) =>
      writer.commit([{ ...daily("A", []), ...rowsOf(kind, stamp, price, size) } as Save]),
    latest: () => reader.latestPrice("A"),
  };
}

withEachDriver({ topic: "reads" }, ({ testOf, withDatabase }) => {
  withDatabase("ranges are inclusive at both ends", async (db) => {
    await db.writer.commit([
      ticks("A", [
        [at(1), 1],
        [at(2), 2],
        [at(3), 3],
      ]),
    ]);
    const found = await rowsOf(
      db.reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: at(1), to: at(2) }),
    );
    expect(found.map((row) => row.price)).toEqual([1, 2]);
  });

  withDatabase(
    "an answer's rows are as many as a reader counts, of one text and of many pieces",
    async (db) => {
      const stamp = (n: number): string => new Date(Date.UTC(2024, 0, 2) + n).toISOString().slice(0, -1);
      const of = (count: number): Save =>
        ticks(
          `T${count}`,
          Array.from({ length: count }, (_, n) => [`${stamp(n).replace("T", " ")}000`, n + 1]),
        );
      const counts = [0, 1, 2, 500, 5_000, 20_000];
      for (const count of counts.slice(1)) await db.writer.commit([of(count)]);
      for (const count of counts) {
        const series = { kind: "ticks", ticker: `T${count}`, part: "trade", from: null, to: null } as const;
        for (const ask of [
          () => db.reader.rows(series),
          () => db.reader.newest({ ...series, limit: 10_000 }),
          () => db.reader.newestOfParts({ ...series, ...ALL_PARTS }),
        ]) {
          let noted = 0;
          const found = await noteAnsweredRows(await ask(), (rows) => {
            noted += rows;
          });
          const { length } = await rowsOf(found);
          expect([count, noted]).toEqual([count, length]);
        }
      }
    },
  );

  withDatabase("bounds are inclusive, of days and of hours", async (db) => {
    const hour = (n: number): string => `2024-01-02 0${n}:00:00`;
    await db.writer.commit([
      daily(
        "A",
        [1, 2, 3, 4].map((day) => [`2024-01-0${day}`, day]),
      ),
      {
        kind: "hourly",
        part: null,
        ticker: "A",
        rows: [1, 2, 3, 4].map((n): BarRow => [hour(n), n, n, n, n, n, null]),
        onDuplicate: "replace",
      },
    ]);
    const closes = async (interval: "daily" | "hourly", from: string | null, to: string | null) =>
      (await rowsOf(db.reader.rows({ kind: interval, part: null, ticker: "A", from, to }))).map(
        (row) => row.close,
      );
    expect(await closes("daily", "2024-01-02", "2024-01-03")).toEqual([2, 3]);
    expect(await closes("daily", null, "2024-01-02")).toEqual([1, 2]);
    expect(await closes("hourly", hour(2), hour(3))).toEqual([2, 3]);
    expect(await closes("hourly", hour(3), null)).toEqual([3, 4]);
    expect(await closes("hourly", "2025-01-01 00:00:00", "9999-12-31 23:59:59")).toEqual([]);
  });

  withDatabase(
    "tickers are what they are: case, blanks, quotes, and what SQL means something by",
    async (db) => {
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
      expect(await db.reader.tickers("daily", null, 100)).toEqual(
        [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    },
  );

  withDatabase("latest price: the newest date, on it the newest moment, then the daily bar", async (db) => {
    const { save, latest } = pricesOf(db);
    expect(await latest()).toBeNull();
    await save("daily", "2024-01-02", 1);
    expect(await latest()).toBe(1);
    await save("hourly", "2024-01-02 00:00:00", 2);
    expect(await latest()).toBe(2);
    await save("quote", "2024-01-02 09:00:00.000000", 3);
    expect(await latest()).toBe(3);
    await save("trade", "2024-01-02 20:59:59.000001", 4);
    expect(await latest()).toBe(4);
    await save("quote", "2024-01-02 08:00:00.000000", 3);
    await save("hourly", "2024-01-02 20:00:00", 2);
    expect(await latest()).toBe(4);
    await save("hourly", "2024-01-02 21:00:00", 5);
    expect(await latest()).toBe(5);
    await save("imbalance", "2024-01-05 21:00:00.000000", 99);
    expect(await latest()).toBe(5);
    await save("daily", "2024-01-03", 6);
    expect(await latest()).toBe(6);
    expect(await db.reader.prices?.("latestPrice", ["A", "NONE", "A"], null)).toEqual(
      db.reader.prices && [6, null, 6],
    );
  });

  withDatabase("latest price: at one moment the quote, then the trade, then the hourly bar", async (db) => {
    const { save, latest } = pricesOf(db);
    await save("hourly", "2024-01-02 10:00:00", 1);
    await save("trade", "2024-01-02 10:00:00.000000", 2);
    expect(await latest()).toBe(2);
    await save("quote", "2024-01-02 10:00:00.000000", 3);
    expect(await latest()).toBe(3);
    await save("daily", "2024-01-03", 4);
    await save("trade", "2024-01-03 00:00:00.000000", 5);
    expect(await latest()).toBe(5);
  });

  withDatabase("latest price: nulls and empty quotes don't count, negative prices do", async (db) => {
    const { save, latest } = pricesOf(db);
    await save("trade", "2024-01-02 20:59:59.000000", 185.6);
    await save("quote", "2024-01-02 21:30:00.000000", 0, 0);
    await save("quote", "2024-01-02 21:31:00.000000", -1, 0);
    await save("quote", "2024-01-02 21:32:00.000000", null, 5);
    await save("daily", "2024-01-04", null);
    expect(await latest()).toBe(185.6);
    await save("quote", "2024-01-02 21:33:00.000000", -0.5, 3);
    expect(await latest()).toBe(-0.5);
    // A feed without sizes says nothing about them.
    await save("quote", "2024-01-02 21:34:00.000000", -0.25, null);
    expect(await latest()).toBe(-0.25);
    await save("quote", "2024-01-02 21:35:00.000000", 185.5, 0);
    expect(await latest()).toBe(185.5);
    await save("trade", "2024-01-02 21:36:00.000000", -37.63, 0);
    expect(await latest()).toBe(-37.63);
    await save("hourly", "2024-01-02 22:00:00", -37);
    expect(await latest()).toBe(-37);
    await save("daily", "2024-01-03", -36);
    expect(await latest()).toBe(-36);
  });

  withDatabase("previous close, newest ticks", async (db) => {
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
    const newest = await rowsOf(
      db.reader.newest({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null, limit: 2 }),
    );
    expect(newest.map((row) => row.price)).toEqual([2, 3]);
    const upTo = { kind: "ticks" as const, ticker: "A", part: "trade", from: null, to: at(2), limit: 1 };
    expect(await rowsOf(db.reader.newest(upTo))).toMatchObject([{ price: 2 }]);
    const bars = { kind: "daily" as const, ticker: "A", part: null, from: null, limit: 1 };
    expect(await rowsOf(db.reader.newest({ ...bars, to: null }))).toMatchObject([
      { date: "2024-01-03T00:00:00.000000Z" },
    ]);
    expect(await rowsOf(db.reader.newest({ ...bars, to: "2024-01-02" }))).toMatchObject([
      { date: "2024-01-02T00:00:00.000000Z" },
    ]);
    expect(await rowsOf(db.reader.newest({ ...bars, kind: "hourly", to: null }))).toEqual([]);
  });

  testOf("anyDay", "opening price and volume of a day", (name) =>
    withDatabase(name, async (db) => {
      await db.writer.commit([
        daily("A", [
          ["2024-01-02", 1],
          ["2024-01-03", 2],
        ]),
      ]);
      expect(await db.reader.openingPrice("A", utcDay("2024-01-03"))).toBe(2);
      expect(await db.reader.openingPrice("A", utcDay("2024-01-04"))).toBeNull();
      expect(await db.reader.dailyVolume("A", utcDay("2024-01-02"))).toBe(100);
      // Without a bar, the trades of the market's day, which is another in UTC.
      const newYork = marketClock("America/New_York")!.dayAt(Date.parse("2024-01-09T12:00:00Z"));
      await db.writer.commit([
        ticks("A", [
          ["2024-01-09 04:59:59.999999", 1],
          ["2024-01-09 05:00:00.000000", 2],
          ["2024-01-10 04:59:59.999999", 3],
          ["2024-01-10 05:00:00.000000", 4],
        ]),
      ]);
      const sizes = await rowsOf(
        db.reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: newYork.from, to: newYork.to }),
      );
      expect(sizes.map(({ price }) => price)).toEqual([2, 3]);
      const traded = sizes.reduce((sum, { size }) => sum + Number(size), 0);
      expect(await db.reader.dailyVolume("A", newYork)).toBe(traded);
    }),
  );

  testOf("numberText", "answers are the same text from every engine", (name) =>
    withDatabase(name, async (db) => {
      const big = "9223372036854775807";
      await db.writer.commit([
        {
          kind: "daily",
          part: null,
          ticker: 'é "\\ ',
          rows: [
            ["1999-12-31", 0.1, 1e21, 1.5e-7, 5, big],
            ["2000-02-29", null, null, null, null, null],
            ["2262-04-11", -0.5, 0, 123456.789, 1e15, -(2 ** 60)],
          ],
          onDuplicate: "replace",
        },
        {
          kind: "hourly",
          part: null,
          ticker: "H",
          rows: [["2024-01-02 10:00:00", 1, 2, 0.5, 1.25, 2 ** 53]],
          onDuplicate: "replace",
        },
        {
          kind: "ticks",
          ticker: "T",
          part: "quote",
          rows: [
            ["1677-09-22 00:00:00.000001", 1, 2, 3, 4, null, null, null],
            ["2024-01-02 10:00:00.120000", null, null, null, null, null, null, null],
            ["2024-01-02 10:00:00.120000", 1.1, "9007199254740993", 1.2, big, null, null, null],
          ],
          onDuplicate: "match",
        },
      ]);
      expect(
        await timelessTextOf(
          db.reader.rows({ kind: "daily", part: null, ticker: 'é "\\ ', from: null, to: null }),
        ),
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
        await timelessTextOf(
          db.reader.rows({ kind: "hourly", part: null, ticker: "H", from: null, to: null }),
        ),
      ).toBe(
        '{"data":[{"datetime":"2024-01-02T10:00:00.000000Z","ticker":"H","open":1,"high":2,"low":0.5,"close":1.25,"volume":9007199254740992,"write_timestamp":"W+00:00"}]}',
      );
      const ticksText =
        '{"data":[{"timestamp":"1677-09-22T00:00:00.000001Z","ticker":"T","type":"quote","price":1,"size":2,"ask_price":3,"ask_size":4,"write_timestamp":"WZ"},' +
        '{"timestamp":"2024-01-02T10:00:00.120000Z","ticker":"T","type":"quote","price":null,"size":null,"ask_price":null,"ask_size":null,"write_timestamp":"WZ"},' +
        `{"timestamp":"2024-01-02T10:00:00.120000Z","ticker":"T","type":"quote","price":1.1,"size":9007199254740993,"ask_price":1.2,"ask_size":${big},"write_timestamp":"WZ"}]}`;
      expect(
        await timelessTextOf(
          db.reader.rows({ kind: "ticks", ticker: "T", part: "quote", from: null, to: null }),
        ),
      ).toBe(ticksText);
      expect(
        await timelessTextOf(
          db.reader.newest({ kind: "ticks", ticker: "T", part: "quote", from: null, to: null, limit: 9 }),
        ),
      ).toBe(ticksText);
    }),
  );

  withDatabase("an answer of many rows comes in chunks of one snapshot", async (db) => {
    const many = Array.from({ length: 5_500 }, (_, i): [string, number] => [
      `2024-01-02 10:${String(Math.floor(i / 100)).padStart(2, "0")}:00.${String(i % 100).padStart(6, "0")}`,
      i,
    ]);
    await db.writer.commit([ticks("A", many)]);
    const found = await db.reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null });
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
    const decoder = new TextDecoder();
    for await (const chunk of found.chunks) {
      text += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
      chunks++;
    }
    // How many is the network's matter, where another server is in front.
    expect(chunks).toBeGreaterThan(1);
    const prices = (JSON.parse(text) as { data: { price: number }[] }).data.map((row) => row.price);
    expect(prices).toEqual(many.map(([, price]) => price));
    expect(await allTicks(db, "A")).toHaveLength(5_502);
  });

  for (const chunksTaken of [0, 1]) {
    withDatabase(`a stream that is given up after ${chunksTaken} chunks frees its connection`, async (db) => {
      await db.writer.commit([
        ticks(
          "A",
          Array.from({ length: 3_000 }, (_, i) => [`2024-01-02 10:00:00.${String(i).padStart(6, "0")}`, i]),
        ),
      ]);
      const free = (await db.reader.pool()).available_connections;
      const found = await db.reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null });
      if (found.empty || !("chunks" in found)) throw new Error("expected chunks");
      expect((await db.reader.pool()).available_connections).toBe(free - 1);
      const chunks = found.chunks[Symbol.asyncIterator]();
      for (let taken = 0; taken < chunksTaken; taken++) await chunks.next();
      await chunks.return?.();
      expect((await db.reader.pool()).available_connections).toBe(free);
    });
  }
});
