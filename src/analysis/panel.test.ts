import { expect, test } from "bun:test";
import { randomNumbers } from "../../test/support/random.ts";
import { Panel } from "./panel.ts";

test("columns stand at their stamps, whatever the others have", () => {
  const random = randomNumbers(3);
  const panel = new Panel(1e6);
  const cells = new Map<number, (number | null)[]>();
  const columns = 7;
  for (let column = 0; column < columns; column++) {
    const stamps = Array.from({ length: 200 }, (_, at) => at * 10).filter(
      () => column === 3 || random() < 0.7,
    );
    if (column === 5) stamps.length = 0;
    panel.add(
      Float64Array.from(stamps),
      Float64Array.from(stamps, (stamp) => stamp * 100 + column),
    );
    for (const stamp of stamps) {
      if (!cells.has(stamp)) cells.set(stamp, Array(columns).fill(null));
      cells.get(stamp)![column] = stamp * 100 + column;
    }
  }
  expect([...panel.stamps]).toEqual([...cells.keys()].sort((a, b) => a - b));
  for (const [from, to] of [
    [0, 1],
    [1, 90],
    [90, 200],
  ] as const) {
    const rows = panel.rows(from, to);
    for (let row = from; row < to; row++) {
      const given = rows.map((column) => column[row - from]!);
      const expected = cells.get(panel.stamps[row]!)!.map((cell) => cell ?? Number.NaN);
      expect(given).toEqual(expected);
    }
  }
});

test("more cells than its bound are refused, as many are not", () => {
  const panel = new Panel(6);
  panel.add(Float64Array.of(1, 2), Float64Array.of(1, 2));
  panel.add(Float64Array.of(2, 3), Float64Array.of(1, 2));
  expect(() => panel.add(Float64Array.of(3), Float64Array.of(1))).toThrow(
    "3 stamps of 3 tickers are more than 6 cells",
  );
});
