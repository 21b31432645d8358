import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type MemoryDuckDb, memoryDuckDb } from "../../test/support/memory-duckdb.ts";
import { randomNumbers } from "../../test/support/random.ts";
import { StepBuckets } from "../../test/support/step-buckets.ts";
import { COUNTS, COUNTS_ALL } from "../market/sale-conditions.ts";
import { BarBuilder } from "./bar-builder.ts";
import type { BarColumns, BarValues } from "./bar-columns.ts";
import type { Numbers } from "./numbers.ts";
import { quotePrices } from "./quote-prices.ts";

const MINUTE = 60_000_000;
const FIRST = 1_704_205_800_000_000;

type Cell = number | bigint | null;

/** Trades in order of time, with equal stamps, gaps, and rows that lack something. */
function randomTrades(seed: number, rows: number): { stamps: number[]; prices: Cell[]; sizes: Cell[] } {
  const random = randomNumbers(seed);
  let at = FIRST + Math.floor(random() * MINUTE);
  const stamps: number[] = [];
  const prices: Cell[] = [];
  const sizes: Cell[] = [];
  for (let row = 0; row < rows; row++) {
    const pace = random();
    at += pace < 0.2 ? 0 : Math.floor(random() * (pace > 0.98 ? 10 * MINUTE : MINUTE / 10));
    stamps.push(at);
    prices.push(random() < 0.03 ? null : Math.round(random() * 10_000) / 100 - 5);
    sizes.push(random() < 0.005 ? null : Math.floor(random() * 1_000));
  }
  return { stamps, prices, sizes };
}

function doubles(cells: readonly Cell[]): Float64Array {
  return Float64Array.from(cells, (cell) => (cell === null ? Number.NaN : Number(cell)));
}

function numbers(cells: readonly Cell[]): Numbers {
  const wide = new Map(
    [...cells.entries()].flatMap(([row, cell]) => (typeof cell === "bigint" ? [[row, cell] as const] : [])),
  );
  return { values: doubles(cells), wide: wide.size === 0 ? null : wide };
}

/** As SQL gives them: volume, vwap and count last. */
function asRows(bars: BarColumns): (number | bigint | null)[][] {
  return Array.from({ length: bars.rows }, (_, row) => {
    const bar = bars.at(row);
    const fields = ["start", "open", "high", "low", "close", "vwap", "count", "first", "last"] as const;
    return [...fields.map((field) => orNull(bar[field])), bar.exactVolume ?? orNull(bar.volume)];
  });
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

/** Sums of doubles may differ in their last digits where their order isn't the same. */
function expectEqual(ours: Cell[][], theirs: (Cell | string)[][], near: readonly number[]): void {
  expect(ours.length).toBe(theirs.length);
  for (const [row, cells] of ours.entries()) {
    for (const [at, cell] of cells.entries()) {
      const other = theirs[row]![at]!;
      if (near.includes(at) && typeof cell === "number" && typeof other === "number")
        expect(Math.abs(cell - other)).toBeLessThanOrEqual(1e-12 * Math.abs(other));
      else if (cell !== other) expect({ row, at, cell }).toEqual({ row, at, cell: other as Cell });
    }
  }
}

const BY_MINUTE = (table: string): string => `
  select (us // ${MINUTE}) * ${MINUTE} as start, first(price order by us, seq), max(price),
    min(price), last(price order by us, seq),
    case when count(size) < count(*) or sum(size) = 0 then null else sum(price * size) / sum(size) end,
    count(*), min(us), max(us),
    case when count(size) = count(*) then sum(size) end::hugeint as volume
  from ${table} where price is not null group by start order by start`;

describe("bars of trades", () => {
  let duckdb: MemoryDuckDb;
  beforeAll(async () => {
    duckdb = await memoryDuckDb();
  });
  afterAll(() => duckdb.close());

  for (const seed of [1, 2, 3]) {
    test(`are those that SQL makes, however the rows are cut, seed ${seed}`, async () => {
      const { stamps, prices, sizes } = randomTrades(seed, 8_000);
      await duckdb.create(`trades_${seed}`, [
        { name: "us", type: "BIGINT", values: stamps },
        { name: "seq", type: "BIGINT", values: stamps.map((_, seq) => seq) },
        { name: "price", type: "DOUBLE", values: prices as (number | null)[] },
        { name: "size", type: "BIGINT", values: sizes },
      ]);
      const expected = await duckdb.rows(BY_MINUTE(`trades_${seed}`));
      expect(expected.length).toBeGreaterThan(200);
      const cut = randomNumbers(seed);
      for (const longest of [8_000, 700, 1]) {
        const builder = new BarBuilder(new StepBuckets(MINUTE));
        for (let from = 0; from < stamps.length; ) {
          const to = from + Math.ceil(cut() * longest);
          const rows = { micros: Float64Array.from(stamps.slice(from, to)), counts: null };
          builder.addTrades({
            ...rows,
            prices: doubles(prices.slice(from, to)),
            sizes: numbers(sizes.slice(from, to)),
          });
          from = to;
        }
        builder.endSeries();
        expectEqual(asRows(builder.take()), expected, [5]);
        expect(builder.skipped).toBe(prices.filter((price) => price === null).length);
      }
    });
  }

  test("are the same one trade at a time, and by flags that count for everything", () => {
    const { stamps, prices, sizes } = randomTrades(9, 3_000);
    const whole = { micros: Float64Array.from(stamps), prices: doubles(prices), sizes: numbers(sizes) };
    const [atOnce, counted, single] = [0, 1, 2].map(() => new BarBuilder(new StepBuckets(MINUTE))) as [
      BarBuilder,
      BarBuilder,
      BarBuilder,
    ];
    atOnce.addTrades({ ...whole, counts: null });
    counted.addTrades({ ...whole, counts: new Uint8Array(stamps.length).fill(COUNTS_ALL) });
    for (const [row, at] of stamps.entries())
      single.addTrade(at, whole.prices[row]!, whole.sizes.values[row]!);
    const [expected, ...others] = [atOnce, counted, single].map((builder) => {
      builder.endSeries();
      return asRows(builder.take());
    });
    expect(expected!.length).toBeGreaterThan(50);
    for (const other of others) expect(other).toEqual(expected!);
  });

  test("add up sizes of 64 bits exactly", async () => {
    const sizes = [2n ** 53n + 1n, 3n, 2n ** 62n, 5n, 7n, 2n ** 53n - 1n, 2n, 1n];
    const stamps = [0, 1, 2, MINUTE, MINUTE + 1, 2 * MINUTE, 2 * MINUTE + 1, 3 * MINUTE].map(
      (at) => FIRST + at,
    );
    await duckdb.create("wide", [
      { name: "us", type: "BIGINT", values: stamps },
      { name: "seq", type: "BIGINT", values: stamps },
      { name: "price", type: "DOUBLE", values: stamps.map(() => 1) },
      { name: "size", type: "BIGINT", values: sizes },
    ]);
    const expected = await duckdb.rows(BY_MINUTE("wide"));
    const cells = sizes.map((size) => (Number.isSafeInteger(Number(size)) ? Number(size) : size));
    for (const step of [8, 1]) {
      const builder = new BarBuilder(new StepBuckets(MINUTE));
      for (let from = 0; from < 8; from += step)
        builder.addTrades({
          micros: Float64Array.from(stamps.slice(from, from + step)),
          prices: new Float64Array(step).fill(1),
          sizes: numbers(cells.slice(from, from + step)),
          counts: null,
        });
      builder.endSeries();
      expectEqual(asRows(builder.take()), expected, [5]);
    }
    expect(expected.map((row) => row.at(-1)!)).toEqual([2n ** 62n + 2n ** 53n + 4n, 12, 2n ** 53n + 1n, 1]);
  });

  test("add up sizes that aren't whole as doubles", () => {
    const builder = new BarBuilder(new StepBuckets(MINUTE));
    for (const size of [0.1, 0.2, 2 ** 53]) builder.addTrade(FIRST, 10, size);
    expect(builder.running()).toMatchObject({ volume: 0.1 + 0.2 + 2 ** 53, exactVolume: null });
  });

  test("have no volume and no vwap where a trade has no size, and no vwap where nothing was traded", () => {
    const builder = new BarBuilder(new StepBuckets(MINUTE));
    builder.addTrade(FIRST, 10, 5);
    builder.addTrade(FIRST, 11, Number.NaN);
    expect(builder.running()).toMatchObject({ volume: Number.NaN, vwap: Number.NaN, count: 2, close: 11 });
    builder.addTrade(FIRST + MINUTE, 10, 0);
    expect(builder.running()).toMatchObject({ volume: 0, vwap: Number.NaN, count: 1 });
  });

  test("leave out what is no number", () => {
    const builder = new BarBuilder(new StepBuckets(MINUTE));
    const prices = Float64Array.of(Number.NaN, 10, Number.POSITIVE_INFINITY, 9, Number.NEGATIVE_INFINITY);
    const sizes = { values: new Float64Array(5).fill(2), wide: null };
    builder.addTrades({ micros: new Float64Array(5).fill(FIRST), prices, sizes, counts: null });
    expect(builder.running()).toMatchObject({ open: 10, high: 10, low: 9, close: 9, volume: 4, count: 2 });
    expect(builder.skipped).toBe(3);
  });

  test("refuse rows that aren't in order", () => {
    const builder = new BarBuilder(new StepBuckets(MINUTE));
    const rows = (...micros: number[]) => ({
      micros: Float64Array.from(micros),
      prices: new Float64Array(micros.length).fill(1),
    });
    expect(() => builder.addPrices(rows(FIRST, FIRST - 1))).toThrow("order of time");
    builder.endSeries();
    builder.addPrices(rows(FIRST + MINUTE));
    expect(() => builder.addPrices(rows(FIRST))).toThrow("order of time");
    builder.endSeries();
    builder.addPrices(rows(FIRST));
  });
});

describe("trades by what they count for", () => {
  const built = (...trades: [at: number, price: number, size: number, counts: number][]): BarValues => {
    const inOrder = new BarBuilder(new StepBuckets(MINUTE));
    for (const [at, price, size, counts] of trades) inOrder.addTrade(FIRST + at, price, size, counts);
    return inOrder.running()!;
  };

  test("an odd lot adds volume alone", () => {
    const bar = built([0, 99, 5, COUNTS.VOLUME], [1, 10, 100, COUNTS_ALL], [2, 1, 7, COUNTS.VOLUME]);
    expect(bar).toMatchObject({ open: 10, high: 10, low: 10, close: 10, volume: 112, count: 3 });
    expect(bar.vwap).toBe((99 * 5 + 1_000 + 7) / 112);
    expect([bar.first - FIRST, bar.last - FIRST]).toEqual([0, 2]);
  });

  test("a bar may have volume and no price", () => {
    const bar = built([0, 99, 5, COUNTS.VOLUME]);
    expect(bar).toMatchObject({ open: Number.NaN, high: Number.NaN, low: Number.NaN, close: Number.NaN });
    expect(bar.volume).toBe(5);
  });

  test("one that counts for nothing isn't there", () => {
    const builder = new BarBuilder(new StepBuckets(MINUTE));
    builder.addTrade(FIRST, 10, 5, 0);
    expect(builder.running()).toBeNull();
    builder.close();
    expect(builder.take().rows).toBe(0);
  });

  test("a weak last price gives way to a plain one, in any order", () => {
    const weak = COUNTS.HIGH_LOW | COUNTS.VOLUME | COUNTS.LAST_IF_NONE;
    expect(built([0, 9, 1, weak], [1, 8, 1, weak]).close).toBe(9);
    expect(built([0, 9, 1, weak], [1, 10, 1, COUNTS_ALL], [2, 11, 1, weak]).close).toBe(10);
    expect(built([5, 9, 1, weak], [1, 10, 1, COUNTS_ALL]).close).toBe(10);
    expect(built([5, 9, 1, weak], [1, 10, 1, weak]).close).toBe(10);
  });
});

describe("the running bar", () => {
  test("takes what comes late within it by its stamp", () => {
    const builder = new BarBuilder(new StepBuckets(MINUTE));
    for (const [at, price] of [
      [10, 5],
      [20, 6],
      [5, 4],
      [20, 7],
      [15, 9],
    ] as const)
      expect(builder.addTrade(FIRST + at, price, 1)).toBe("running");
    expect(builder.running()).toMatchObject({ open: 4, high: 9, low: 4, close: 7, volume: 5 });
  });

  test("tells what is of a closed bucket, and can build that anew", () => {
    const buckets = new StepBuckets(MINUTE);
    const builder = new BarBuilder(buckets);
    builder.addTrade(FIRST, 10, 1);
    expect(builder.closedRows).toBe(0);
    builder.addTrade(FIRST + MINUTE, 11, 1);
    expect(builder.closedRows).toBe(1);
    expect(builder.addTrade(FIRST + 1, 12, 1)).toBe("late");
    expect(builder.running()).toMatchObject({ close: 11 });
    const anew = new BarBuilder(buckets);
    anew.addPrices({ micros: Float64Array.of(FIRST, FIRST + 1), prices: Float64Array.of(10, 12) });
    anew.close();
    expect(anew.take().at(0)).toMatchObject({ start: FIRST, open: 10, close: 12 });
    expect(builder.addTrade(FIRST + MINUTE + 5, 13, 1)).toBe("running");
    builder.close();
    expect(builder.addTrade(FIRST + MINUTE + 6, 13, 1)).toBe("late");
    expect(builder.take().at(1)).toMatchObject({ open: 11, close: 13, volume: 2 });
  });

  test("doesn't see what is outside of the session", () => {
    const builder = new BarBuilder(new StepBuckets(MINUTE, (start) => start >= FIRST + MINUTE));
    expect(builder.addTrade(FIRST, 10, 1)).toBe("outside");
    builder.addPrices({
      micros: Float64Array.of(FIRST + 1, FIRST + MINUTE),
      prices: Float64Array.of(10, 12),
    });
    expect(builder.outside).toBe(2);
    expect(builder.running()).toMatchObject({ open: 12, count: 1, volume: Number.NaN });
  });
});

describe("bars of quotes", () => {
  const bids = Float64Array.of(10, 10, 0, Number.NaN, 12, 11);
  const asks = Float64Array.of(11, 10, 11, 12, 11, -1);

  test("a mid is between two sides that don't cross; others are counted", () => {
    const skipped = { crossed: 0, oneSided: 0 };
    const prices = quotePrices(bids, asks, "mid", skipped);
    expect([...prices]).toEqual([10.5, 10, Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
    expect(skipped).toEqual({ crossed: 1, oneSided: 3 });
  });

  test("a side that isn't above 0 is absent", () => {
    const skipped = { crossed: 0, oneSided: 0 };
    expect([...quotePrices(bids, asks, "bid", skipped)]).toEqual([10, 10, Number.NaN, Number.NaN, 12, 11]);
    expect([...quotePrices(bids, asks, "ask", skipped)]).toEqual([11, 10, 11, 12, 11, Number.NaN]);
    expect(skipped).toEqual({ crossed: 0, oneSided: 3 });
  });
});

describe("bars of smaller bars", () => {
  let duckdb: MemoryDuckDb;
  beforeAll(async () => {
    duckdb = await memoryDuckDb();
  });
  afterAll(() => duckdb.close());

  test("are those that SQL makes", async () => {
    const random = randomNumbers(5);
    const stamps: number[] = [];
    for (let minute = 0; minute < 3_000; minute++)
      if (random() < 0.9) stamps.push(FIRST - (FIRST % MINUTE) + minute * MINUTE);
    const cells = (share: number, make: () => number): (number | null)[] =>
      stamps.map(() => (random() < share ? null : make()));
    const price = (): number => Math.round(random() * 10_000) / 100;
    const columns = Object.fromEntries(
      ["open", "high", "low", "close", "vwap"].map((name) => [name, cells(0.05, price)]),
    );
    const volume = cells(0.01, () => (random() < 0.2 ? 0 : Math.floor(random() * 1e6)));
    const count = cells(0.01, () => Math.floor(random() * 100));
    await duckdb.create("bars", [
      { name: "us", type: "BIGINT", values: stamps },
      ...Object.entries(columns).map(([name, values]) => ({ name, type: "DOUBLE" as const, values })),
      { name: "volume", type: "BIGINT", values: volume },
      { name: "n", type: "BIGINT", values: count },
    ]);
    const expected = await duckdb.rows(`
      select (us // ${5 * MINUTE}) * ${5 * MINUTE} as start,
        first(open order by us) filter (open is not null), max(high), min(low),
        last(close order by us) filter (close is not null),
        case when count(volume) = count(*) and bool_and(volume = 0 or vwap is not null) and sum(volume) > 0
          then sum(case when volume = 0 then 0 else vwap * volume end) / sum(volume) end,
        case when count(n) = count(*) then sum(n) end::bigint, min(us), max(us),
        case when count(volume) = count(*) then sum(volume) end::bigint
      from bars group by start order by start`);
    const builder = new BarBuilder(new StepBuckets(5 * MINUTE));
    const of = (name: string): Float64Array => doubles(columns[name]!);
    builder.addBars({
      micros: Float64Array.from(stamps),
      ...{ open: of("open"), high: of("high"), low: of("low"), close: of("close"), vwap: of("vwap") },
      volume: numbers(volume),
      count: doubles(count),
    });
    builder.endSeries();
    expectEqual(asRows(builder.take()), expected, [5]);
  });
});
