import { expect, test } from "bun:test";
import { EventIds } from "./event-id.ts";

test("an id comes back as the positions that it was made of, and stays short", () => {
  const tickers = Array.from({ length: 250 }, (_, i) => `TICKER.${"é".repeat(50)}${i}`);
  const ids = new EventIds(tickers);
  const positions = new Map(tickers.map((ticker, i) => [ticker, i * 1_000_003]));
  positions.delete(tickers[3]!);
  const id = ids.idOf("45aa6430-c667-4782-b7e3-5552f668f49c", (ticker) => positions.get(ticker) ?? null);
  expect(ids.placeOf(id)).toEqual({ epoch: "45aa6430-c667-4782-b7e3-5552f668f49c", positions });
  expect(id.length).toBeLessThan(2_000);
  expect(id).toMatch(/^[\w.-]+$/);
});

test("an id of other tickers, or none at all, is of no database", () => {
  const ids = new EventIds(["A", "B"]);
  const id = ids.idOf("e", () => 7);
  const unknown = {
    epoch: "unknown",
    positions: new Map([
      ["A", 0],
      ["B", 0],
    ]),
  };
  for (const wrong of [
    "",
    "7",
    `${id}.7`,
    id.replace("1.", "2."),
    `${id.slice(0, -1)}-`,
    `${id}zzzzzzzzzzzz`,
    id.replace(".e.", ".a b."),
  ])
    expect(ids.placeOf(wrong)).toEqual(unknown);
  expect(new EventIds(["B", "A"]).placeOf(id).epoch).toBe("unknown");
  expect(ids.placeOf(id)).toEqual({
    epoch: "e",
    positions: new Map([
      ["A", 7],
      ["B", 7],
    ]),
  });
});
