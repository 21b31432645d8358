import { expect, test } from "bun:test";
import { randomNumbers } from "../../../test/support/random.ts";
import type { BarRow, TickRow } from "../../storage/contract.ts";
import type { SeriesRow } from "../../storage/model/kinds.ts";
import { compareSeries, sumSeries } from "./compare-series.ts";
import { RowSum } from "./row-sum.ts";
import { toCanonical } from "./series.ts";

const dateOf = (day: number): string => new Date(Date.UTC(2000, 0, day)).toISOString().slice(0, 10);
const bar = (day: number, close: number): BarRow => [dateOf(day), 1, 1, 1, close, 100, null];

async function* inBatches(rows: SeriesRow[], size: number): AsyncGenerator<SeriesRow[]> {
  yield [];
  for (let at = 0; at < rows.length; at += size)
    yield rows.slice(at, at + size).map((row) => [...row] as BarRow);
}

async function compare(source: SeriesRow[], destination: SeriesRow[], size = 3) {
  const written: SeriesRow[] = [];
  const comparison = await compareSeries({
    kind: "daily",
    source: inBatches(source, size),
    destination: inBatches(destination, size + 1),
    onDifference: (row) => void written.push(row),
    onRowsRead: () => {},
  });
  return { comparison, written };
}

test("finds what is missing, different and only there, whatever lies where", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomNumbers(seed);
    const some = (): Map<number, number> =>
      new Map(
        Array.from({ length: 40 }, (_, day): [number, number] => [day + 1, Math.floor(random() * 2)]).filter(
          () => random() < 0.6,
        ),
      );
    const [source, destination] = [some(), some()];
    const rowsOf = (rows: Map<number, number>): BarRow[] => [...rows].map(([day, close]) => bar(day, close));
    const { comparison, written } = await compare(rowsOf(source), rowsOf(destination), 1 + (seed % 7));

    const expected = [...source].filter(([day, close]) => destination.get(day) !== close);
    expect(written).toEqual(expected.map(([day, close]) => bar(day, close)));
    expect(comparison.missing).toBe([...source.keys()].filter((day) => !destination.has(day)).length);
    expect(comparison.different).toBe(expected.length - comparison.missing);
    expect(comparison.source.rows).toBe(source.size);
    expect(comparison.firstDifference === null).toBe(expected.length === 0);

    // The sums add up to those of the destination once the rows are written there.
    const after = rowsOf(new Map([...destination, ...source])).toSorted((a, b) => (a[0] < b[0] ? -1 : 1));
    const sum = await sumSeries("daily", inBatches(after, 4));
    expect(sum.equals(comparison.source.plus(comparison.onlyInDestination))).toBe(true);
  }
});

test("the sum of rows tells one changed value and doesn't mind the order", () => {
  const sumOf = (...rows: SeriesRow[]): string => {
    const sum = new RowSum("daily");
    for (const row of rows) sum.add(row);
    return sum.checksum;
  };
  expect(sumOf(bar(1, 0.1), bar(2, 0.2))).toBe(sumOf(bar(2, 0.2), bar(1, 0.1)));
  expect(sumOf(bar(1, 0.1))).not.toBe(sumOf(bar(1, 0.1 + Number.EPSILON / 8)));
  expect(sumOf(bar(1, 0.1))).toMatch(/^[0-9a-f]{16}$/);
});

test("a row has one form, whatever engine it came from", () => {
  const tick: TickRow = ["2024-01-02 10:00:00.000000", -0, "42", Number.NaN, 2 ** 60, null, null, 0];
  toCanonical("ticks", tick);
  expect(tick).toEqual(["2024-01-02 10:00:00.000000", 0, 42, null, "1152921504606846976", null, null, 0]);
  const day: BarRow = ["2024-01-02", Number.POSITIVE_INFINITY, 1.5, 2 ** 60, null, 1.5, null];
  toCanonical("daily", day);
  expect(day).toEqual(["2024-01-02", null, 1.5, 2 ** 60, null, 1.5, null]);
});

test("rows that are out of order, or two of one key, are not taken for a series", async () => {
  await expect(compare([bar(2, 1), bar(1, 1)], [])).rejects.toThrow("2000-01-01 comes after 2000-01-02");
  await expect(compare([bar(1, 1), bar(1, 1)], [])).rejects.toThrow("not in order");
});
