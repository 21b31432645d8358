import { expect, test } from "bun:test";
import type { TickRow } from "../../storage/contract.ts";
import { matchTicks } from "./match-ticks.ts";

const tick = (seq: number, price: number, id: string | null = null, extra: string | null = null): TickRow => [
  "2024-01-02 10:00:00.000000",
  ...([price, 1, null, null] as const),
  ...([id, extra, seq] as const),
];

function match(source: TickRow[], destination: TickRow[]) {
  const { pairs, onlyInDestination } = matchTicks(source, destination);
  return { pairs: pairs.map(({ wanted, there }) => [wanted, there]), onlyInDestination };
}

test("equal ticks are the same at any number, as sets with repetition", () => {
  expect(match([tick(0, 5)], [tick(0, 7), tick(1, 5)])).toEqual({
    pairs: [],
    onlyInDestination: [tick(0, 7)],
  });
  expect(match([tick(0, 5), tick(1, 5), tick(2, 6)], [tick(0, 6), tick(1, 5)])).toEqual({
    pairs: [[tick(3, 5), null]],
    onlyInDestination: [],
  });
});

test("a tick that is missing gets its number, or one that is free", () => {
  expect(match([tick(0, 5), tick(1, 6, "b")], [tick(0, 7, "c"), tick(1, 5)])).toEqual({
    pairs: [[tick(2, 6, "b"), null]],
    onlyInDestination: [tick(0, 7, "c")],
  });
  expect(match([tick(3, 6)], [tick(1, 5)])).toEqual({
    pairs: [[tick(3, 6), null]],
    onlyInDestination: [tick(1, 5)],
  });
});

test("an id decides, then values of which one says more, then the number among those without ids", () => {
  expect(match([tick(0, 5, "a"), tick(1, 6, "b")], [tick(0, 6, "b"), tick(1, 9, "a", "{}")])).toEqual({
    pairs: [[tick(1, 5, "a", "{}"), tick(1, 9, "a", "{}")]],
    onlyInDestination: [],
  });
  expect(match([tick(0, 5), tick(1, 6, "b", "{}")], [tick(0, 6), tick(1, 5, "a")])).toEqual({
    pairs: [
      [tick(1, 5, "a"), tick(1, 5, "a")],
      [tick(0, 6, "b", "{}"), tick(0, 6)],
    ],
    onlyInDestination: [],
  });
  expect(match([tick(0, 5)], [tick(0, 6)])).toEqual({
    pairs: [[tick(0, 5), tick(0, 6)]],
    onlyInDestination: [],
  });
  expect(match([tick(0, 5, "a")], [tick(0, 5, "b")])).toEqual({
    pairs: [[tick(1, 5, "a"), null]],
    onlyInDestination: [tick(0, 5, "b")],
  });
});
