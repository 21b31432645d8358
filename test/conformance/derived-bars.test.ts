/** Bars, joins and panels that are made of stored rows, alike on every driver. */
import { expect, test } from "bun:test";
import { indicatorNamed } from "../../src/analysis/indicators.ts";
import { parseTimeframe } from "../../src/calendar/timeframe.ts";
import type { AsOfQuestion } from "../../src/market-data/as-of-questions.ts";
import { asOfRows } from "../../src/market-data/as-of-rows.ts";
import type { AnswerTable } from "../../src/market-data/contract.ts";
import { derivedBars } from "../../src/market-data/derived-bars.ts";
import { derivedColumnNames } from "../../src/market-data/derived-columns.ts";
import type { BarKey, DerivedBarsQuestion } from "../../src/market-data/derived-questions.ts";
import { readPageToken } from "../../src/market-data/page-token.ts";
import { storedBars } from "../../src/market-data/stored-rows.ts";
import { wideTable } from "../../src/market-data/wide-bars.ts";
import type { Save, TickRow } from "../../src/storage/contract.ts";
import type { ColumnData } from "../../src/storage/model/columns.ts";
import { dayText } from "../../src/storage/model/stamp-text.ts";
import { randomNumbers } from "../support/random.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";

const MINUTE = 60_000_000;
const micros = (text: string): number => Date.parse(text) * 1_000;
const stampOf = (us: number): string => {
  const second = Math.floor(us / 1e6);
  const text = new Date(second * 1e3).toISOString().slice(0, 19).replace("T", " ");
  return `${text}.${String(us - second * 1e6).padStart(6, "0")}`;
};

type Cell = number | string | null;
type Row = Record<string, Cell>;

function cellOf(data: ColumnData, row: number): Cell {
  if (data.nulls?.[row] === 1) return null;
  if (data.type === "text") return data.dictionary[data.codes[row]!]!;
  return Number(data.values[row]);
}

async function rowsOf(table: AnswerTable): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of table.batches) {
    expect([...batch.columns.keys()]).toEqual(table.columns.map(({ name }) => name));
    for (let row = 0; row < batch.rows; row++)
      rows.push(Object.fromEntries([...batch.columns].map(([name, data]) => [name, cellOf(data, row)])));
  }
  return rows;
}

function question(
  changed: Partial<DerivedBarsQuestion> & { timeframe: DerivedBarsQuestion["timeframe"] },
): DerivedBarsQuestion {
  return {
    ...{ sources: [], identity: "test", from: null, to: null, order: "ascending", limit: null, after: null },
    grid: { zone: "UTC", calendar: null, session: null, align: null },
    columns: ["symbol", ...derivedColumnNames(false)],
    ...{
      indicators: [],
      fill: "none",
      saleConditions: false,
      adjustment: null,
      adjusted: null,
      withPositions: false,
    },
    ...changed,
  };
}

async function save(db: OpenDatabase, ...saves: Save[]): Promise<void> {
  for (const outcome of await db.writer.commit(saves)) expect(outcome).toMatchObject({ ok: true });
}

interface Trade {
  at: number;
  price: number;
  size: number;
}

function randomTrades(seed: number, rows: number, first: number): Trade[] {
  const random = randomNumbers(seed);
  let at = first;
  return Array.from({ length: rows }, () => {
    at += random() < 0.2 ? 0 : Math.floor(random() * 20_000_000);
    return { at, price: Math.round(random() * 10_000) / 100, size: Math.floor(random() * 500) };
  });
}

function tradesSave(ticker: string, trades: readonly Trade[], part: "trade" | "quote" = "trade"): Save {
  const rows = trades.map(({ at, price, size }, seq): TickRow => {
    const ask = part === "quote" ? price + 0.02 : null;
    return [stampOf(at), price, size, ask, ask === null ? null : size, null, null, seq];
  });
  return { kind: "ticks", ticker, part, rows, onDuplicate: "replace" };
}

/** Bars by their definition, over all rows at once. */
function barsOf(ticker: string, trades: readonly Trade[], step: number): Row[] {
  return [...Map.groupBy(trades, ({ at }) => Math.floor(at / step) * step)].map(([start, rows]) => {
    const prices = rows.map(({ price }) => price);
    const volume = rows.reduce((sum, { size }) => sum + size, 0);
    const notional = rows.reduce((sum, { price, size }) => sum + price * size, 0);
    return {
      ...{ symbol: ticker, timestamp: start, open: prices[0]!, high: Math.max(...prices) },
      ...{ low: Math.min(...prices), close: prices.at(-1)!, volume, trade_count: rows.length },
      vwap: volume === 0 ? null : notional / volume,
    };
  });
}

/** An engine that makes bars by itself adds sizes and prices up in another order. */
function expectBars(found: Row[], expected: Row[]): void {
  expect(found.map(({ vwap: _, ...bar }) => bar)).toEqual(expected.map(({ vwap: _, ...bar }) => bar));
  for (const [index, { vwap }] of found.entries()) {
    const other = expected[index]!.vwap;
    if (typeof vwap !== "number" || typeof other !== "number") expect(vwap).toBe(other!);
    else expect(Math.abs(vwap - other)).toBeLessThanOrEqual(1e-12 * Math.abs(other));
  }
}

/** Sums go on from other bars, so figures may differ in their last digits. */
function expectFigures(found: Row[], expected: Row[]): void {
  const keyOf = ({ symbol, timestamp }: Row) => ({ symbol, timestamp });
  expect(found.map(keyOf)).toEqual(expected.map(keyOf));
  for (const [index, row] of found.entries())
    for (const [name, cell] of Object.entries(row)) {
      const other = expected[index]![name]!;
      if (typeof cell !== "number" || typeof other !== "number") expect([name, cell]).toEqual([name, other]);
      else expect(Math.abs(cell - other)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(other)));
    }
}

const TICKERS = ["A", "B", "é", "😀"];
const of = (...tickers: string[]): DerivedBarsQuestion["sources"] => [{ source: { of: "trades" }, tickers }];
const FIRST = micros("2024-01-02T14:00:00Z");

withEachDriver({ topic: "derived bars" }, ({ withDatabase }) => {
  withDatabase("bars of trades of several tickers, whole and page by page, in both orders", async (db) => {
    const trades = TICKERS.map((_, seed) => randomTrades(seed, 900, FIRST + seed));
    await save(db, ...TICKERS.map((ticker, at) => tradesSave(ticker, trades[at]!)));
    await save(db, ...TICKERS.map((ticker) => tradesSave(ticker, trades[0]!, "quote")));
    const asked = question({ timeframe: parseTimeframe("1Min"), sources: of(...TICKERS) });
    const expected = TICKERS.flatMap((ticker, at) => barsOf(ticker, trades[at]!, MINUTE));
    const whole = await derivedBars(asked, db.reader);
    expectBars(await rowsOf(whole), expected);
    expect(whole.nextPage()).toBeNull();
    expect(whole.warnings()).toEqual(["bars of 1min are made of trades"]);
    const descending = TICKERS.flatMap((ticker, at) => barsOf(ticker, trades[at]!, MINUTE).reverse());
    for (const [order, rows] of [
      ["ascending", expected],
      ["descending", descending],
    ] as const) {
      const paged: Row[] = [];
      let after: BarKey | null = null;
      for (let pages = 0; ; pages++) {
        const page = await derivedBars({ ...asked, order, limit: 150, after }, db.reader);
        const got = await rowsOf(page);
        paged.push(...got);
        const token = page.nextPage();
        if (token === null) break;
        expect(got.length).toBe(150);
        const key = readPageToken("test", token);
        after = { ticker: key.ticker, start: Number(key.stamp) };
        expect(pages).toBeLessThan(50);
      }
      expectBars(paged, rows);
    }
  });

  withDatabase("bounds are of labels, and buckets at the bounds are whole", async (db) => {
    const trades = randomTrades(5, 900, FIRST);
    await save(db, tradesSave("A", trades));
    const [from, to] = [FIRST + 30 * MINUTE + 1, FIRST + 60 * MINUTE];
    const asked = question({ timeframe: parseTimeframe("5Min"), sources: of("A"), from, to });
    const expected = barsOf("A", trades, 5 * MINUTE).filter(
      ({ timestamp: at }) => Number(at) >= from && Number(at) <= to,
    );
    expect(expected.length).toBe(6);
    expectBars(await rowsOf(await derivedBars(asked, db.reader)), expected);
  });

  withDatabase("figures and fills at the beginning know the bars before it, after any pause", async (db) => {
    const early = randomTrades(6, 400, FIRST - 40 * 86_400 * 1e6);
    const trades = [...early, ...randomTrades(7, 400, FIRST)];
    await save(db, tradesSave("A", trades), tradesSave("B", trades.slice(390)));
    const indicators = ["sma_20", "ema_10", "atr_5"].map((name) => indicatorNamed(name)!);
    const asked = question({ timeframe: parseTimeframe("1Min"), sources: of("A", "B"), indicators });
    const everything = await rowsOf(await derivedBars(asked, db.reader));
    const from = FIRST + 5 * MINUTE;
    const late = await rowsOf(await derivedBars({ ...asked, from }, db.reader));
    const expected = everything.filter(({ timestamp: at }) => Number(at) >= from);
    expect(late.map(({ symbol, timestamp, sma_20 }) => ({ symbol, timestamp, sma_20 }))).toEqual(
      expected.map(({ symbol, timestamp, sma_20 }) => ({ symbol, timestamp, sma_20 })),
    );
    for (const name of ["ema_10", "atr_5"])
      for (const [row, { [name]: figure }] of late.entries()) {
        const { [name]: whole } = expected[row]!;
        if (typeof whole === "number") expect(figure).toBeCloseTo(whole, 9);
        else expect(figure).toBeNull();
      }
    const filled = question({ timeframe: parseTimeframe("1Min"), sources: of("A"), fill: "previous" });
    const [gap] = await rowsOf(
      await derivedBars({ ...filled, from: FIRST - 86_400 * 1e6, to: FIRST }, db.reader),
    );
    expect(gap).toMatchObject({
      timestamp: FIRST - 86_400 * 1e6,
      close: early.at(-1)!.price,
      volume: 0,
      vwap: null,
    });
  });

  /** All pages of so many rows, one after the other. */
  const pagesOf = async (db: OpenDatabase, asked: DerivedBarsQuestion, limit: number): Promise<Row[]> => {
    const rows: Row[] = [];
    for (let after: BarKey | null = null, pages = 0; ; pages++) {
      expect(pages).toBeLessThan(200);
      const page = await derivedBars({ ...asked, limit, after }, db.reader);
      rows.push(...(await rowsOf(page)));
      const token = page.nextPage();
      if (token === null) return rows;
      const key = readPageToken("test", token);
      after = { ticker: key.ticker, start: Number(key.stamp) };
    }
  };

  withDatabase("figures are the same from any start on, and on any page", async (db) => {
    const trades = randomTrades(8, 600, FIRST);
    const days = Array.from({ length: 90 }, (_, n) => {
      const close = 100 + ((n * 37) % 11);
      return [dayText(19_700 + n), close, close, close, close, 5, null];
    });
    await save(db, tradesSave("A", trades), tradesSave("B", trades.slice(200)), {
      ...{ kind: "daily", ticker: "A", part: null, rows: days as never, onDuplicate: "replace" },
    });
    const indicators = ["sma_3", "bb_upper_5", "stdev_4"].map((name) => indicatorNamed(name)!);
    const ofTrades = question({ timeframe: parseTimeframe("1Min"), sources: of("A", "B"), indicators });
    const source = { of: "bars", series: { kind: "daily", part: null } } as const;
    const ofDays = { ...ofTrades, sources: [{ source, tickers: ["A"] }] };
    for (const asked of [
      ofTrades,
      { ...ofDays, timeframe: parseTimeframe("1Day") },
      { ...ofDays, timeframe: parseTimeframe("1Week") },
    ]) {
      const whole = await rowsOf(await derivedBars(asked, db.reader));
      expectFigures(await pagesOf(db, asked, 7), whole);
      for (const { timestamp } of whole.slice(0, 20)) {
        const from = Number(timestamp);
        const late = await rowsOf(await derivedBars({ ...asked, from }, db.reader));
        expectFigures(
          late,
          whole.filter((row) => Number(row.timestamp) >= from),
        );
      }
    }
  });

  withDatabase("a ticker without a row between the bounds, or on a page, is filled as others", async (db) => {
    const at = (minute: number, price: number): Trade => ({ at: FIRST + minute * MINUTE, price, size: 1 });
    await save(
      db,
      tradesSave("A", [at(0, 10), at(50, 20)]),
      tradesSave("B", [at(0, 1)]),
      tradesSave("C", [at(20, 5), at(21, 6)]),
    );
    const to = FIRST + 60 * MINUTE;
    const sources = of("A", "B", "C", "X");
    for (const fill of ["previous", "zero", "null"] as const) {
      const asked = question({ timeframe: parseTimeframe("1Min"), sources, fill, from: FIRST, to });
      const whole = await rowsOf(await derivedBars(asked, db.reader));
      const tickers = [...Map.groupBy(whole, ({ symbol }) => symbol)].map(([name, rows]) => [
        name,
        rows.length,
      ]);
      const ofC = fill === "previous" ? 41 : 61;
      expect(tickers).toEqual([
        ["A", 61],
        ["B", 61],
        ["C", ofC],
      ]);
      expect(await pagesOf(db, asked, 45)).toEqual(whole);
      const turned = { ...asked, order: "descending" } as const;
      expect(await pagesOf(db, turned, 45)).toEqual(await rowsOf(await derivedBars(turned, db.reader)));
      const [from, until] = [FIRST + 10 * MINUTE, FIRST + 12 * MINUTE];
      const within = await rowsOf(await derivedBars({ ...asked, from, to: until }, db.reader));
      expect(within).toEqual(
        whole.filter(({ timestamp }) => Number(timestamp) >= from && Number(timestamp) <= until),
      );
      expect(within.length).toBe(fill === "previous" ? 6 : 9);
    }
  });

  withDatabase("sessions of a calendar: the bars of a day are those of its regular hours", async (db) => {
    const at = (text: string, price: number): Trade => ({ at: micros(text), price, size: 10 });
    await save(
      db,
      tradesSave("A", [
        at("2024-07-03T13:29:59Z", 1),
        at("2024-07-03T13:30:00Z", 2),
        at("2024-07-03T16:59:59Z", 3),
        at("2024-07-03T17:00:00Z", 4), // a half day
        at("2024-07-05T14:00:00Z", 5),
      ]),
    );
    const grid = { zone: "America/New_York", calendar: "XNYS", session: null, align: null };
    const asked = question({ timeframe: parseTimeframe("1Day"), sources: of("A"), grid });
    const table = await derivedBars(asked, db.reader);
    const rows = await rowsOf(table);
    expect(rows.map(({ timestamp, open, close, volume }) => [timestamp, open, close, volume])).toEqual([
      [micros("2024-07-03T04:00:00Z"), 2, 3, 20],
      [micros("2024-07-05T04:00:00Z"), 5, 5, 10],
    ]);
    expect(table.columns[1]).toEqual({ name: "timestamp", type: "second", zone: "America/New_York" });
    expect(table.warnings()).toContain("2 rows lie outside of the sessions, and are in no bar");
    const hours = await rowsOf(
      await derivedBars({ ...asked, timeframe: parseTimeframe("1Hour"), fill: "null" }, db.reader),
    );
    expect(hours[0]).toMatchObject({ timestamp: micros("2024-07-03T13:00:00Z"), open: 2 });
    expect(hours.map(({ close }) => close)).toEqual([2, null, null, 3, null, 5].slice(0, hours.length));
  });

  withDatabase("bars of smaller bars: weeks of days, hours of minutes", async (db) => {
    const daily = (date: string, close: number, volume: number | null): (string | number | null)[] => [
      ...[date, close - 1, close + 1, close - 2, close, volume, null],
    ];
    const rows = [
      daily("2024-01-01", 10, 5),
      daily("2024-01-05", 20, 6),
      daily("2024-01-08", 30, null),
      daily("2024-01-09", 31, 4),
    ];
    await save(db, { kind: "daily", ticker: "A", part: null, rows: rows as never, onDuplicate: "replace" });
    const series = { kind: "daily", part: null } as const;
    const sources = [{ source: { of: "bars", series } as const, tickers: ["A"] }];
    const weeks = question({
      timeframe: parseTimeframe("1Week"),
      sources,
      grid: { zone: "America/New_York", calendar: "XNYS", session: null, align: null },
    });
    expect(await rowsOf(await derivedBars(weeks, db.reader))).toMatchObject([
      { timestamp: micros("2024-01-01T05:00:00Z"), open: 9, high: 21, low: 8, close: 20, volume: 11 },
      { timestamp: micros("2024-01-08T05:00:00Z"), open: 29, high: 32, low: 28, close: 31, volume: null },
    ]);
    const minutes = Array.from({ length: 120 }, (_, n) => [
      ...[stampOf(FIRST + n * MINUTE).slice(0, 19), n, n + 2, n - 2, n + 1, n + 1, n + 0.5, 1, null],
    ]);
    await save(db, {
      kind: "interval",
      ticker: "A",
      part: "1min",
      rows: minutes as never,
      onDuplicate: "replace",
    });
    const ofMinutes = { kind: "interval", part: "1min" } as const;
    const hours = question({
      timeframe: parseTimeframe("1Hour"),
      sources: [{ source: { of: "bars", series: ofMinutes }, tickers: ["A"] }],
    });
    const volume = (60 * 61) / 2;
    const notional = Array.from({ length: 60 }, (_, n) => (n + 1) * (n + 0.5)).reduce((a, b) => a + b);
    const table = await derivedBars(hours, db.reader);
    expect((await rowsOf(table))[0]).toEqual({
      ...{ symbol: "A", timestamp: FIRST, open: 0, high: 61, low: -2, close: 60, volume, trade_count: 60 },
      vwap: notional / volume,
    });
    expect(table.warnings()).toEqual(["bars of hourly are made of stored 1min bars"]);
    const same = question({ timeframe: parseTimeframe("1Min"), sources: hours.sources });
    const minuteBars = await derivedBars(same, db.reader);
    expect((await rowsOf(minuteBars)).map(({ vwap }) => vwap)).toEqual(
      minutes.map((row) => row[6] as number),
    );
    expect(minuteBars.warnings()).toEqual([]);
  });

  withDatabase("trades count for what their sale conditions say, if that is asked for", async (db) => {
    const sold = [
      [10, '{"c":["@"],"z":"A"}'],
      [99, '{"conditions":["@","I"],"tape":"A"}'],
      [11, null],
      [50, '{"c":"B","z":"A"}'],
      [12, '{"c":"B","z":"C"}'],
      [13, '{"c":["@","?"]}'],
    ] as const;
    const rows = sold.map(([price, extra], seq): TickRow => {
      return [stampOf(FIRST + seq), price, 100, null, null, null, extra, seq];
    });
    await save(db, { kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "replace" });
    const asked = question({ timeframe: parseTimeframe("1Min"), sources: of("A") });
    const [all] = await rowsOf(await derivedBars(asked, db.reader));
    expect(all).toMatchObject({ open: 10, high: 99, low: 10, close: 13, volume: 600, trade_count: 6 });
    const table = await derivedBars({ ...asked, saleConditions: true }, db.reader);
    const [bar] = await rowsOf(table);
    expect(bar).toMatchObject({ open: 10, high: 13, low: 10, close: 13, volume: 600, trade_count: 6 });
    expect(table.warnings()).toContain("sale conditions that say nothing or several things: ?");
  });

  withDatabase("mids of quotes; what has none is told", async (db) => {
    const quotes = [
      [10, 11],
      [12, 11],
      [0, 11],
      [null, 11],
      [10, 10],
    ] as const;
    const rows = quotes.map(([bid, ask], seq): TickRow => {
      return [stampOf(FIRST + seq), bid, 1, ask, 1, null, null, seq];
    });
    await save(db, { kind: "ticks", ticker: "A", part: "quote", rows, onDuplicate: "replace" });
    const sources = [{ source: { of: "quotes", price: "mid" } as const, tickers: ["A"] }];
    const table = await derivedBars(question({ timeframe: parseTimeframe("1Min"), sources }), db.reader);
    expect(await rowsOf(table)).toMatchObject([
      { open: 10.5, high: 10.5, low: 10, close: 10, volume: null, vwap: null, trade_count: 2 },
    ]);
    expect(table.warnings()).toEqual([
      "bars of 1min are made of the mid of quotes",
      "1 quotes had a bid above their ask, and have no mid",
      "2 quotes lacked a side, and have no price",
    ]);
  });

  withDatabase("bars are the same whether a reader makes parts of them or gives all rows", async (db) => {
    const random = randomNumbers(11);
    const oneOf = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
    const ticks = (first: number, rows: number, part: "trade" | "quote"): TickRow[] => {
      let at = first;
      return Array.from({ length: rows }, (_, n): TickRow => {
        at += random() < 0.3 ? 0 : Math.floor(random() * oneOf([1e3, 3e7, 4e9]));
        const price = oneOf([
          null,
          -1,
          0,
          ...Array.from({ length: 20 }, () => Math.round(random() * 999) / 8),
        ]);
        const size = oneOf([null, "9007199254740993", ...Array.from({ length: 40 }, () => n)]);
        const ask = part === "trade" ? null : oneOf([null, 0, 60, (price ?? 1) + 0.5]);
        return [stampOf(at), price, size, ask, null, null, null, n];
      });
    };
    const late = micros("2024-03-09T21:00:00Z");
    for (const ticker of TICKERS)
      for (const part of ["trade", "quote"] as const) {
        const rows = [...ticks(micros("1969-12-30T00:00:00Z"), 60, part), ...ticks(late, 400, part)];
        const numbered = rows.map((row, n) => row.with(-1, n) as TickRow);
        await save(db, { kind: "ticks", ticker, part, rows: numbered, onDuplicate: "replace" });
      }
    const asRows = {
      ...db.reader,
      columns: ({ bars: _, ...query }: Parameters<typeof db.reader.columns>[0]) => db.reader.columns(query),
    } as typeof db.reader;
    const grids: Partial<DerivedBarsQuestion["grid"]>[] = [
      {},
      { zone: "Asia/Kathmandu" },
      { zone: "Africa/Monrovia" },
      { zone: "America/New_York", calendar: "XNYS" },
      { zone: "Europe/London", session: "08:05-16:35" },
      { zone: "America/New_York", align: "session" },
    ];
    for (const [n, timeframe] of ["1Min", "7s", "90s", "1Hour", "1Day", "1Week", "1Month"].entries()) {
      const grid = { zone: "UTC", calendar: null, session: null, align: null, ...grids[n % grids.length] };
      for (const source of [
        { of: "trades" },
        ...(["mid", "bid", "ask"] as const).map((price) => ({ of: "quotes", price }) as const),
      ] as const) {
        const sources = [{ source, tickers: TICKERS }];
        const from = n % 2 === 0 ? null : late + 90 * MINUTE + 7;
        const asked = question({ timeframe: parseTimeframe(timeframe), sources, grid, from });
        const [made, plain] = [await derivedBars(asked, db.reader), await derivedBars(asked, asRows)];
        const bars = await rowsOf(made);
        expect(bars.length).toBeGreaterThan(0);
        expectBars(bars, await rowsOf(plain));
        expect(made.warnings()).toEqual(plain.warnings());
      }
    }
  });

  withDatabase("a matrix of closes", async (db) => {
    const closes = (rows: [string, number][]): never =>
      rows.map(([date, close]) => [date, close, close, close, close, 1, null]) as never;
    await save(
      db,
      {
        kind: "daily",
        ticker: "B",
        part: null,
        rows: closes([
          ["2024-01-02", 1],
          ["2024-01-04", 2],
        ]),
        onDuplicate: "replace",
      },
      {
        kind: "daily",
        ticker: "A",
        part: null,
        rows: closes([
          ["2024-01-03", 3],
          ["2024-01-04", 4],
        ]),
        onDuplicate: "replace",
      },
    );
    const long = await storedBars(
      {
        ...{
          tickers: ["B", "A", "X"],
          isAll: false,
          identity: "t",
          from: null,
          to: null,
          order: "ascending",
        },
        ...{ limit: null, after: null, columns: ["symbol", "timestamp", "close"], zone: "UTC" },
        ...{ withPositions: false, series: { kind: "daily", part: null }, adjustment: null },
      },
      db.reader,
    );
    const wide = await wideTable(long, { tickers: ["B", "A", "X"], name: "close" });
    expect(await rowsOf(wide)).toEqual([
      { timestamp: micros("2024-01-02T00:00:00Z"), A: null, B: 1, X: null },
      { timestamp: micros("2024-01-03T00:00:00Z"), A: 3, B: null, X: null },
      { timestamp: micros("2024-01-04T00:00:00Z"), A: 4, B: 2, X: null },
    ]);
  });

  withDatabase("trades with the quotes before them, whole and page by page", async (db) => {
    const [trades, quotes] = [0, 1].map((side) =>
      TICKERS.map((_, seed) => randomTrades(10 * side + seed, 700, FIRST + seed)),
    ) as [Trade[][], Trade[][]];
    for (const [at, ticker] of TICKERS.entries()) {
      await save(db, tradesSave(ticker, trades[at]!));
      if (ticker !== "B") await save(db, tradesSave(ticker, quotes[at]!, "quote"));
    }
    await save(db, tradesSave("AA", quotes[0]!, "quote"));
    const tolerance = 5_000_000;
    const asked: AsOfQuestion = {
      ...{ tickers: TICKERS, isAll: false, identity: "join", from: null, to: null, order: "ascending" },
      ...{ limit: null, after: null, columns: ["symbol", "timestamp", "price"], zone: "UTC" },
      ...{ withPositions: false, left: { of: "trades" }, right: { of: "quotes" } },
      rightColumns: ["timestamp", "bid_price", "ask_size"],
      options: { direction: "backward", tolerance, allowExact: true },
    };
    const expected = TICKERS.flatMap((ticker, at) =>
      trades[at]!.map((trade) => {
        const known = ticker === "B" ? [] : quotes[at]!.filter((quote) => quote.at <= trade.at);
        const last = known.at(-1);
        const quote = last !== undefined && trade.at - last.at <= tolerance ? last : null;
        const right = {
          quote_timestamp: quote?.at ?? null,
          quote_bid_price: quote?.price ?? null,
          quote_ask_size: quote?.size ?? null,
        };
        return { symbol: ticker, timestamp: trade.at, price: trade.price, ...right };
      }),
    );
    expect(expected.filter(({ quote_timestamp }) => quote_timestamp !== null).length).toBeGreaterThan(500);
    expect(await rowsOf(await asOfRows(asked, db.reader))).toEqual(expected);
    const paged: Row[] = [];
    let after: AsOfQuestion["after"] = null;
    for (;;) {
      const page = await asOfRows({ ...asked, limit: 999, after }, db.reader);
      paged.push(...(await rowsOf(page)));
      const token = page.nextPage();
      if (token === null) break;
      after = readPageToken("join", token);
    }
    expect(paged).toEqual(expected);
    // Whoever leaves frees the place of a join.
    for (let n = 0; n < 5; n++) {
      const left = await asOfRows(asked, db.reader);
      await left.batches[Symbol.asyncIterator]().return?.();
    }
  });

  withDatabase("a bar on the right counts from its end on", async (db) => {
    const bars = [0, 1].map((n) => [
      ...[stampOf(FIRST + n * MINUTE).slice(0, 19), 1, 1, 1, n + 1, 1, null, null, null],
    ]);
    await save(db, {
      kind: "interval",
      ticker: "A",
      part: "1min",
      rows: bars as never,
      onDuplicate: "replace",
    });
    const trades = [59, 60, 119, 120].map((second) => ({ at: FIRST + second * 1e6, price: 1, size: 1 }));
    await save(db, tradesSave("A", trades));
    const asked: AsOfQuestion = {
      ...{
        tickers: ["A"],
        isAll: true,
        identity: "join",
        from: stampOf(FIRST),
        to: null,
        order: "ascending",
      },
      ...{ limit: null, after: null, columns: ["symbol", "timestamp"], zone: "UTC", withPositions: false },
      left: { of: "trades" },
      right: { of: "bars", series: { kind: "interval", part: "1min" } },
      rightColumns: ["close"],
      options: { direction: "backward", tolerance: Number.POSITIVE_INFINITY, allowExact: true },
    };
    const rows = await rowsOf(await asOfRows(asked, db.reader));
    expect(rows.map(({ bar_close }) => bar_close)).toEqual([null, 1, 1, 2]);
  });
});

test("a panel that is too wide for its bound is refused", async () => {
  const rows = 30_000;
  const stamps = BigInt64Array.from({ length: rows }, (_, row) => BigInt(row));
  async function* batches() {
    for (let ticker = 0; ticker < 1_000; ticker++)
      yield {
        rows,
        columns: new Map<string, ColumnData>([
          ["symbol", { type: "text", codes: new Int32Array(rows), dictionary: [`T${ticker}`], nulls: null }],
          ["timestamp", { type: "instant", values: stamps, nulls: null }],
          ["close", { type: "double", values: new Float64Array(rows), nulls: null }],
        ]),
      };
  }
  const columns = [{ name: "timestamp", type: "instant" as const }];
  const long = {
    columns,
    names: new Map(),
    batches: batches(),
    nextPage: () => null,
    positions: null,
    warnings: () => [],
  };
  const refused = await wideTable(long, { tickers: [], name: "close" }).catch((error: unknown) => error);
  expect(String(refused)).toContain("more than 25000000 cells");
});
