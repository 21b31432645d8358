import { expect, test } from "bun:test";
import {
  AVERAGE_COLUMNS,
  CHECKPOINT_EVERY,
  continueAverages,
  EMA_PERIODS,
  RECENT_CLOSES_MAX,
  SMA_PERIODS,
  startState,
} from "./moving-averages.ts";
import { round4 } from "./round4.ts";
import { roundAverage } from "./significant.ts";

interface Fixture {
  series: { name: string; closes: number[]; firstRow: number; rows: (number | null)[][] }[];
}

const fixture: Fixture = await Bun.file(new URL("moving-averages.fixture.json", import.meta.url)).json();

for (const { name, closes, firstRow, rows } of fixture.series) {
  test(`gives the recorded values: ${name}`, () => {
    // The recorded ones have 4 decimals everywhere.
    const found = continueAverages(startState(), [], closes).rows.slice(firstRow);
    const in4 = found.map((row) => row.map((value) => (value === null ? null : round4(value))));
    expect(in4).toEqual(rows);
  });
}

test("names nine columns, simple averages first", () => {
  expect(AVERAGE_COLUMNS.join()).toBe("ma_10,ma_50,ma_100,ma_200,ema_8,ema_21,ema_34,ema_55,ema_89");
});

test("follows the definition, with days without a close left out", () => {
  const closes = randomSeries(700);
  const { rows } = continueAverages(startState(), [], closes);
  const present = closes.filter((close) => close !== null);
  const expected = present.map((_, index) => defined(present, index));
  let next = 0;
  expect(rows).toEqual(closes.map((close) => (close === null ? Array(9).fill(null) : expected[next++]!)));
});

test("a missing close gives nulls and changes nothing after it", () => {
  const closes = randomSeries(300).filter((close) => close !== null);
  const holed = closes.flatMap((close, index) => (index % 7 === 3 ? [null, null, close] : [close]));
  const rows = continueAverages(startState(), [], holed).rows;
  expect(rows.filter((_, index) => holed[index] !== null)).toEqual(
    continueAverages(startState(), [], closes).rows,
  );
  expect(rows[holed.indexOf(null)]).toEqual(Array(9).fill(null));
});

test("going on from any checkpoint equals starting over", () => {
  for (let run = 0; run < 20; run += 1) {
    const closes = randomSeries(150 + Math.floor(Math.random() * 900));
    const fresh = continueAverages(startState(), [], closes);
    for (const [at, { index, state }] of fresh.checkpoints.entries()) {
      const before = closes.slice(0, index).filter((close) => close !== null);
      const resumed = continueAverages(state, before.slice(-RECENT_CLOSES_MAX), closes.slice(index));
      expect(resumed.rows).toEqual(fresh.rows.slice(index));
      const later = resumed.checkpoints.map((checkpoint) => ({
        ...checkpoint,
        index: checkpoint.index + index,
      }));
      expect(later).toEqual(fresh.checkpoints.slice(at + 1));
    }
  }
});

test("a checkpoint stands at the first row after each multiple, whatever that row is", () => {
  const closes: (number | null)[] = Array.from({ length: 2 * CHECKPOINT_EVERY }, (_, index) => index);
  expect(indexesOf(closes)).toEqual([CHECKPOINT_EVERY]);
  expect(indexesOf([...closes, null, null, 1, 2])).toEqual([CHECKPOINT_EVERY, 2 * CHECKPOINT_EVERY]);
  expect(indexesOf([null, null, ...closes, 1])).toEqual([CHECKPOINT_EVERY + 2, 2 * CHECKPOINT_EVERY + 2]);
});

test("a state handed in stays as it was", () => {
  const state = startState();
  continueAverages(state, [], randomSeries(300));
  expect(state).toEqual(startState());
});

test("refuses a state whose recent closes are missing", () => {
  const state = { closes: 256, emas: [1, 1, 1, 1, 1] as [number, number, number, number, number] };
  expect(() => continueAverages(state, [1, 2], [3])).toThrow("expected the last 199, got 2");
});

test("closes that overflow give nulls, not infinities", () => {
  const { rows } = continueAverages(startState(), [], Array(10).fill(1.7e308));
  expect(rows[9]).toEqual(Array(9).fill(null));
});

function indexesOf(closes: (number | null)[]): number[] {
  return continueAverages(startState(), [], closes).checkpoints.map(({ index }) => index);
}

/** Like prices, one in twenty missing. */
function randomSeries(length: number): (number | null)[] {
  let price = 50 + Math.random() * 100;
  return Array.from({ length }, () => {
    price *= 1 + (Math.random() - 0.5) * 0.04;
    return Math.random() < 0.05 ? null : Math.round(price * 100) / 100;
  });
}

/** The averages at one close, from nothing but the closes up to it. */
function defined(closes: number[], index: number): (number | null)[] {
  const mean = (period: number, end: number) =>
    closes.slice(end + 1 - period, end + 1).reduce((sum, close) => sum + close, 0) / period;
  const smas = SMA_PERIODS.map((period) => (index < period - 1 ? null : mean(period, index)));
  const emas = EMA_PERIODS.map((period) => {
    if (index < period - 1) return null;
    const weight = 2 / (period + 1);
    const later = closes.slice(period, index + 1);
    return later.reduce((ema, close) => close * weight + ema * (1 - weight), mean(period, period - 1));
  });
  return [...smas, ...emas].map((value) => (value === null ? null : roundAverage(value)));
}
