import { afterAll, beforeAll, expect, test } from "bun:test";
import { type MemoryDuckDb, memoryDuckDb } from "../../test/support/memory-duckdb.ts";
import { randomNumbers } from "../../test/support/random.ts";
import { AVERAGE_COLUMNS, continueAverages, startState } from "../market/moving-averages.ts";
import { roundAverage } from "../market/significant.ts";
import { BarColumns } from "./bar-columns.ts";
import { indicatorNamed, PERIOD_MAX } from "./indicators.ts";

const ROWS = 600;

interface Row {
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  vwap: number;
}

function randomBars(seed: number): Row[] {
  const random = randomNumbers(seed);
  let close = 100;
  return Array.from({ length: ROWS }, () => {
    const open = close;
    close = Math.round((close + (random() - 0.5) * 4) * 100) / 100;
    const [high, low] = [Math.max(open, close) + random(), Math.min(open, close) - random()];
    return { open, high, low, close, volume: Math.floor(random() * 1_000), vwap: (high + low) / 2 };
  });
}

function columnsOf(rows: readonly Row[]): BarColumns {
  const bars = new BarColumns();
  for (const [at, row] of rows.entries())
    bars.push({ start: at, end: at + 1, ...row, count: 1, first: at, last: at, exactVolume: null });
  return bars;
}

function figuresOf(name: string, rows: readonly Row[]): number[] {
  return [...indicatorNamed(name)!.open().of(columnsOf(rows), null)];
}

function expectNear(ours: readonly number[], theirs: readonly unknown[]): void {
  expect(ours.length).toBe(theirs.length);
  for (const [row, figure] of ours.entries()) {
    const other = theirs[row] as number | null;
    if (other === null || Number.isNaN(figure)) expect([row, figure]).toEqual([row, other ?? Number.NaN]);
    else expect(Math.abs(figure - other)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(other)));
  }
}

let duckdb: MemoryDuckDb;
beforeAll(async () => {
  duckdb = await memoryDuckDb();
  const rows = randomBars(1);
  await duckdb.create("bars", [
    { name: "n", type: "BIGINT", values: rows.map((_, n) => n) },
    ...(["high", "low", "close"] as const).map((name) => ({
      name,
      type: "DOUBLE" as const,
      values: rows.map((row) => row[name]),
    })),
  ]);
});
afterAll(() => duckdb.close());

async function sqlFigures(sql: string): Promise<unknown[]> {
  return (await duckdb.rows(sql)).map((row) => row[0]);
}

test.each([
  ["sma_20", "avg(close) over w", 20],
  ["sma_1", "avg(close) over w", 1],
  ["stdev_20", "stddev_samp(close) over w", 20],
  ["bb_upper_10", "avg(close) over w + 2 * stddev_pop(close) over w", 10],
  ["bb_lower_10", "avg(close) over w - 2 * stddev_pop(close) over w", 10],
])("%s is what SQL's windows give", async (name, figure, period) => {
  const expected = await sqlFigures(`
    select case when n >= ${period - 1} then ${figure} end from bars
    window w as (order by n rows between ${period - 1} preceding and current row) order by n`);
  expectNear(figuresOf(name, randomBars(1)), expected);
});

/** Wilder's average by its definition: the mean of the first values, then a step for each. */
const WILDER = (value: string, period: number): string => `
  (with recursive v as (${value}), s as (
    select ${period} as n, (select avg(x) from v where n between 1 and ${period}) as average
    union all
    select s.n + 1, (s.average * ${period - 1} + v.x) / ${period} from s join v on v.n = s.n + 1)
  select n, average from s)`;

test("rsi_14 is Wilder's", async () => {
  const change = "close - lag(close) over (order by n)";
  const expected = await sqlFigures(`
    select 100 * g.average / (g.average + l.average) from bars
    left join ${WILDER(`select n, greatest(${change}, 0) as x from bars`, 14)} g using (n)
    left join ${WILDER(`select n, greatest(-(${change}), 0) as x from bars`, 14)} l using (n) order by n`);
  expect(expected.slice(12, 15).map((figure) => figure === null)).toEqual([true, true, false]);
  expectNear(figuresOf("rsi_14", randomBars(1)), expected);
});

test("rsi_2 of closes that only rise is 100, and there is none where nothing moves", () => {
  const rows = [1, 2, 3, 4].map((close) => ({ ...randomBars(1)[0]!, close }));
  expect(figuresOf("rsi_2", rows)).toEqual([Number.NaN, Number.NaN, 100, 100]);
  expect(figuresOf("rsi_2", [rows[0]!, rows[0]!, rows[0]!]).at(-1)).toBeNaN();
});

test("atr_14 is Wilder's", async () => {
  const before = "lag(close) over (order by n)";
  const range = `select n, greatest(high - low, abs(high - ${before}), abs(low - ${before})) as x from bars`;
  const expected = await sqlFigures(`
    select a.average from bars left join ${WILDER(range, 14)} a using (n) order by n`);
  expectNear(figuresOf("atr_14", randomBars(1)), expected);
});

test("averages are those that are stored beside daily bars", () => {
  const rows = randomBars(2);
  rows[30]!.close = Number.NaN;
  rows[301]!.close = Number.NaN;
  const closes = rows.map(({ close }) => (Number.isNaN(close) ? null : close));
  const stored = continueAverages(startState(), [], closes).rows;
  for (const [at, column] of AVERAGE_COLUMNS.entries()) {
    const ours = figuresOf(column.replace("ma_", "sma_").replace("esma", "ema"), rows);
    const shown = ours.map((figure) => (Number.isNaN(figure) ? null : roundAverage(figure)));
    expect(shown).toEqual(stored.map((row) => row[at]!));
  }
});

test.each(["sma_20", "ema_20", "stdev_20", "rsi_14", "atr_14", "bb_upper_20"])(
  "%s is the same wherever its bars are cut, and from so far back as it says",
  (name) => {
    const rows = randomBars(3);
    const kind = indicatorNamed(name)!;
    const whole = figuresOf(name, rows);
    const cut = kind.open();
    const pieces = [rows.slice(0, 7), rows.slice(7, 8), rows.slice(8, 300), rows.slice(300)];
    expect(pieces.flatMap((piece) => [...cut.of(columnsOf(piece), null)])).toEqual(whole);
    const first = ROWS - 1;
    const late = figuresOf(name, rows.slice(Math.max(0, first - kind.barsBack))).at(-1)!;
    expect(Math.abs(late - whole[first]!)).toBeLessThanOrEqual(1e-12 * Math.abs(whole[first]!));
    cut.reset();
    expect([...cut.of(columnsOf(rows), null)]).toEqual(whole);
  },
);

test("vwap_session begins anew with each session, and ends where a price by volume is missing", () => {
  const rows = randomBars(4).slice(0, 5);
  const bars = columnsOf([
    { ...rows[0]!, volume: 10, vwap: 5 },
    { ...rows[1]!, volume: 30, vwap: 7 },
    { ...rows[2]!, volume: 1, vwap: 9 },
    { ...rows[3]!, volume: 1, vwap: Number.NaN },
    { ...rows[4]!, volume: 1, vwap: 8 },
  ]);
  const figures = indicatorNamed("vwap_session")!
    .open()
    .of(bars, Float64Array.of(1, 1, 2, 2, 2));
  expect([...figures]).toEqual([5, 6.5, 9, Number.NaN, Number.NaN]);
});

test("names are checked", () => {
  for (const name of ["sma", "sma_0", "sma_1001", "stdev_1", "sma_05", "constructor_2", "sma_20 ", "wma_3"])
    expect(indicatorNamed(name)).toBeNull();
  expect(indicatorNamed(`sma_${PERIOD_MAX}`)).toMatchObject({ barsBack: PERIOD_MAX - 1, bySession: false });
});
