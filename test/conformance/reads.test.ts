/** What every storage driver answers. */
import { expect } from "bun:test";
import { AVERAGE_COLUMNS } from "../../src/market/moving-averages.ts";
import type { BarRow, JsonRows, Save } from "../../src/storage/contract.ts";
import { rowsOf, textOf } from "../support/answered.ts";
import { at, daily, ticks } from "../support/saves.ts";
import { withEachDriver } from "./each-driver.ts";
import { allTicks } from "./saves.ts";

/**
 * The whole text of an answer, with W for the times of writing, which no two runs have in common.
 */
async function timelessTextOf(rows: JsonRows | Promise<JsonRows>): Promise<string> {
  const text = await textOf(rows);
  return text.replace(/(?<="write_timestamp":")\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{6}/g, "W");
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

  withDatabase(
    "latest price: newest date wins; on one date quote, trade, hourly, daily; nulls don't count",
    async (db) => {
      const quote = (stamp: string, price: number | null): Save => ({
        ...ticks("A", []),
        part: "quote",
        rows: [[stamp, price, 1, null, null, null, null, null]],
      });
      const hourly = (stamp: string, close: number): Save => ({
        ...daily("A", []),
        kind: "hourly",
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
    },
  );

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
      expect(await db.reader.openingPrice("A", "2024-01-03")).toBe(2);
      expect(await db.reader.openingPrice("A", "2024-01-04")).toBeNull();
      expect(await db.reader.dailyVolume("A", "2024-01-02")).toBe(100);
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
