import { expect, test } from "bun:test";
import { testPrices } from "./test-prices.ts";

const START = 1_700_000_000;

test("the walk moves a little each second, stays near its middle, and its quotes make sense", () => {
  let moves = 0;
  for (let second = START; second < START + 20_000; second++) {
    const { bid, ask, bidSize, askSize, trade, tradeSize } = testPrices(second);
    expect(ask).toBeGreaterThan(bid);
    expect(bid).toBeGreaterThan(70);
    expect(ask).toBeLessThan(130);
    expect([bid, ask]).toContain(trade);
    for (const size of [bidSize, askSize, tradeSize]) expect(size % 100).toBe(0);
    const before = testPrices(second - 1);
    expect(Math.abs(bid - before.bid)).toBeLessThan(0.2);
    if (bid !== before.bid) moves++;
  }
  expect(moves).toBeGreaterThan(5_000);
});

test("the same second always has the same prices", () => {
  expect(testPrices(START)).toEqual(testPrices(START));
  expect(testPrices(START).bid).not.toBe(testPrices(START + 86_400).bid);
});
