import { expect, test } from "bun:test";
import { type AdjustmentKind, adjustmentOf, spanOf } from "./adjustment.ts";
import type { CorporateAction } from "./corporate-actions.ts";
import { roundAdjusted, roundAverage, roundVolume } from "./significant.ts";

const EX_DATE = "2024-06-10";
const NOTHING = { exDate: EX_DATE, ratio: null, cash: null, basis: null, newTicker: null };

const split = (ratio: number, exDate = EX_DATE): CorporateAction => ({
  ...NOTHING,
  type: "split",
  ratio,
  exDate,
});
const dividend = (cash: number | null, more: Partial<CorporateAction> = {}): CorporateAction => ({
  ...NOTHING,
  type: "dividend",
  cash,
  ...more,
});
const spinoff = (ratio: number | null, cash: number | null): CorporateAction => ({
  ...NOTHING,
  type: "spinoff",
  ratio,
  cash,
});

/** What a bar before the ex-date gets. */
function factorsOf(actions: CorporateAction[], close: number | null, kind: AdjustmentKind = "all") {
  const { ratios, payouts, notApplied } = adjustmentOf(actions, kind, () => close);
  return {
    price: payouts[0]! / ratios[0]!,
    volume: ratios[0]!,
    reasons: notApplied.map((each) => each.reason),
  };
}

type Case = [name: string, actions: CorporateAction[], close: number, price: number, volume: number];

/** Of one day: the actions, the close before, and what prices and volumes are multiplied by. */
const CASES: Case[] = [
  ["a 2:1 split", [split(2)], 100, 0.5, 2],
  ["a 1:20 reverse split", [split(1 / 20)], 1.13, 20, 0.05],
  ["a 3:2 split", [split(3 / 2)], 150.69, 2 / 3, 1.5],
  ["a stock dividend of 5 %", [split(1.05)], 105, 1 / 1.05, 1.05],
  ["a dividend of 1 on 50", [dividend(1)], 50, 0.98, 1],
  ["a split and a dividend for each new share", [split(2), dividend(0.5, { basis: "new" })], 100, 0.495, 2],
  ["a split and a dividend that doesn't say for which", [dividend(0.5), split(2)], 100, 0.495, 2],
  ["a split and a dividend for each old share", [split(2), dividend(1, { basis: "old" })], 100, 0.495, 2],
  ["two dividends: they are added first", [dividend(1), dividend(4)], 50, 0.9, 1],
  ["a spin-off of 1 for 4, worth 20", [spinoff(1 / 4, 20)], 100, 0.95, 1],
  ["a spin-off and a dividend", [spinoff(1 / 4, 20), dividend(5)], 100, 0.9, 1],
  ["a dividend of nothing", [dividend(0)], 50, 1, 1],
  ["a change of the symbol", [{ ...NOTHING, type: "symbol_change", newTicker: "B" }], 50, 1, 1],
];

for (const [name, actions, close, price, volume] of CASES) {
  test(`${name}`, () => {
    const found = factorsOf(actions, close);
    expect(found.price).toBeCloseTo(price, 12);
    expect(found.volume).toBeCloseTo(volume, 12);
    expect(found.reasons).toEqual([]);
  });
}

test("each kind of adjustment has its part of a day, and together they are all of it", () => {
  const day = [split(2), dividend(0.5), spinoff(0.1, 30)];
  const { price: ofSplit, volume } = factorsOf(day, 100, "split");
  const ofPayouts = factorsOf(day, 100, "dividend");
  expect([ofSplit, volume]).toEqual([0.5, 2]);
  expect(ofPayouts.price).toBeCloseTo(1 - (1 + 6) / 100, 12);
  expect(ofPayouts.volume).toBe(1);
  expect(factorsOf(day, 100).price).toBeCloseTo(ofSplit * ofPayouts.price, 12);
});

test("what has no factor is told, and never makes a price that isn't above 0", () => {
  const missing = factorsOf([dividend(2), split(2)], null);
  expect(missing).toMatchObject({
    price: 0.5,
    volume: 2,
    reasons: [expect.stringContaining("no daily close")],
  });
  for (const close of [2, 1.5]) {
    const { price, reasons } = factorsOf([dividend(2)], close);
    expect({ price, reasons }).toEqual({
      price: 1,
      reasons: [`what is paid for an old share, 2, is not less than the close, ${close}`],
    });
  }
  for (const close of [0, -37]) expect(factorsOf([dividend(2)], close).reasons[0]).toContain(String(close));
  // Two that together are as much as the close.
  expect(factorsOf([dividend(1), dividend(1)], 2).reasons).toHaveLength(2);
  expect(factorsOf([spinoff(1, null)], 50).reasons).toEqual([expect.stringContaining("not known")]);
  expect(factorsOf([split(0)], 50)).toMatchObject({ price: 1, reasons: [expect.stringContaining("ratio")] });
  expect(factorsOf([dividend(null)], 50)).toMatchObject({ price: 1, reasons: ["its cash is not known"] });
});

test("a close isn't asked for where no amount is paid", () => {
  const asked: string[] = [];
  const ask = (date: string): null => {
    asked.push(date);
    return null;
  };
  adjustmentOf([split(2), dividend(0, { exDate: "2024-01-01" })], "all", ask);
  adjustmentOf([dividend(1)], "split", ask);
  expect(asked).toEqual([]);
});

test("a bar of the ex-date is behind it, the one before it isn't", () => {
  const bounds = ["2014-06-09", "2020-08-31"];
  const dates = ["2014-06-06", "2014-06-08", "2014-06-09", "2014-06-10", "2020-08-30", "2020-08-31", "2024"];
  expect(dates.map((date) => spanOf(bounds, date))).toEqual([0, 0, 1, 1, 1, 2, 2]);
  expect(spanOf([], "2024-01-01")).toBe(0);
});

/** `type, ex-date, ratio or cash, close before` and `date, close, volume, split, all, volume`. */
interface Fixture {
  actions: ["split" | "dividend", string, number, number][];
  bars: [date: string, close: number, volume: number, split: number, all: number, adjustedVolume: number][];
}
const apple: Fixture = await Bun.file(new URL("adjustment.fixture.json", import.meta.url)).json();

test("gives Apple's prices of twenty years as of March 2021", () => {
  const closes = new Map(apple.actions.map(([, exDate, , close]) => [exDate, close]));
  const actions = apple.actions.map(([type, exDate, amount]) =>
    type === "split" ? split(amount, exDate) : dividend(amount, { exDate }),
  );
  const closeBefore = (exDate: string): number => closes.get(exDate)!;
  const [ofSplit, all] = (["split", "all"] as const).map((kind) => adjustmentOf(actions, kind, closeBefore));
  const adjusted = (
    { exDates, ratios, payouts }: typeof all & object,
    date: string,
    close: number,
  ): number => {
    const span = spanOf(exDates, date);
    return roundAdjusted((close / ratios[span]!) * payouts[span]!);
  };
  const found = apple.bars.map(([date, close, volume]) => [
    date,
    close,
    volume,
    adjusted(ofSplit!, date, close),
    adjusted(all!, date, close),
    roundVolume(volume * all!.ratios[spanOf(all!.exDates, date)]!),
  ]);
  expect(found).toEqual(apple.bars);
  expect([ofSplit!.notApplied, all!.notApplied]).toEqual([[], []]);
});

test("averages have 4 decimals from 1 on, and 8 significant digits below", () => {
  const values = [123.456789, 1.00005, 1, 0.99999999, 0.123456789, 0.0000103123456, -0.000012345678901, 0];
  expect(values.map(roundAverage)).toEqual([
    123.4568, 1.0001, 1, 0.99999999, 0.12345679, 0.000010312346, -0.000012345679, 0,
  ]);
  expect(Object.is(roundAverage(-1e-320 * 1e-10), 0)).toBe(true);
});

test("adjusted prices have 6 decimals, and 8 significant digits below 0.01", () => {
  expect([21.1546428571, 0.7767666, 0.01, 0.00123456789, -1.5, 0].map(roundAdjusted)).toEqual([
    21.154643, 0.776767, 0.01, 0.0012345679, -1.5, 0,
  ]);
  expect([100.5, 0.05 * 3, 7, 2 ** 60].map(roundVolume)).toEqual([100.5, 0.15, 7, 2 ** 60]);
});
