import { describe, expect, test } from "bun:test";
import { StepBuckets } from "../../test/support/step-buckets.ts";
import { BarColumns } from "./bar-columns.ts";
import { BarFiller, type Fill } from "./bar-fill.ts";

type Filled = [start: number, close: number | null, volume: number | null, count: number | null];

/** Bars of ten units; the session has no buckets from 50 to 70. */
function filled(
  fill: Fill,
  bars: [start: number, close: number][],
  {
    from = null,
    to = null,
    rowsMax = 100,
  }: { from?: number | null; to?: number | null; rowsMax?: number } = {},
): Filled[] {
  const filler = new BarFiller(new StepBuckets(10, (start) => start < 50 || start >= 70), { fill, rowsMax });
  filler.beginSeries(from);
  const pieces = bars.map(([start, close]) => {
    const piece = new BarColumns();
    const prices = { open: close - 1, high: close + 1, low: close - 1, close };
    const rest = { volume: 5, vwap: close, count: 2, first: start, last: start, exactVolume: null };
    piece.push({ start, end: start + 10, ...prices, ...rest });
    return filler.add(piece);
  });
  const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return [...pieces, filler.endSeries(to)].flatMap((piece) =>
    Array.from({ length: piece.rows }, (_, row): Filled => {
      const { start, close, volume, count } = piece.at(row);
      return [start, orNull(close), orNull(volume), orNull(count)];
    }),
  );
}

describe("fill", () => {
  const bars: [number, number][] = [
    [10, 7],
    [40, 10],
    [80, 14],
  ];

  test("null has rows without values, within sessions alone", () => {
    expect(filled("null", bars)).toEqual([
      [10, 7, 5, 2],
      [20, null, null, null],
      [30, null, null, null],
      [40, 10, 5, 2],
      [70, null, null, null],
      [80, 14, 5, 2],
    ]);
  });

  test("previous goes on with the last close, and with nothing traded", () => {
    expect(filled("previous", bars, { from: 0, to: 105 })).toEqual([
      [10, 7, 5, 2],
      [20, 7, 0, 0],
      [30, 7, 0, 0],
      [40, 10, 5, 2],
      [70, 10, 0, 0],
      [80, 14, 5, 2],
      [90, 14, 0, 0],
      [100, 14, 0, 0],
    ]);
  });

  test("zero and null reach from bound to bound, also without a bar", () => {
    expect(filled("zero", [[20, 3]], { from: 0, to: 41 }).map(([start, close]) => [start, close])).toEqual([
      ...[
        [0, 0],
        [10, 0],
        [20, 3],
        [30, 0],
        [40, 0],
      ],
    ]);
    expect(filled("null", [], { from: 0, to: 20 }).map(([start]) => start)).toEqual([0, 10]);
    expect(filled("previous", [], { from: 0, to: 20 })).toEqual([]);
  });

  test("linear is on the line between two closes", () => {
    expect(filled("linear", bars, { from: 0, to: 200 }).map(([start, close]) => [start, close])).toEqual([
      ...[
        [10, 7],
        [20, 8],
        [30, 9],
        [40, 10],
        [70, 13],
        [80, 14],
      ],
    ]);
  });

  test("previous skips a bar without a close", () => {
    expect(
      filled("previous", [
        [10, 7],
        [20, Number.NaN],
        [40, 9],
      ]).map(([, close]) => close),
    ).toEqual([7, null, 7, 9]);
  });

  test("more rows than its bound are refused, as many are not", () => {
    expect(
      filled(
        "null",
        [
          [0, 1],
          [40, 1],
        ],
        { rowsMax: 3 },
      ).length,
    ).toBe(5);
    expect(() =>
      filled(
        "null",
        [
          [0, 1],
          [40, 1],
        ],
        { rowsMax: 2 },
      ),
    ).toThrow("more than 2 rows");
    expect(() => filled("null", [], { from: 0, to: 1e9, rowsMax: 10 })).toThrow("more than 10 rows");
  });
});
