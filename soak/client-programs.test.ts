import { describe, expect, test } from "bun:test";
import { TradesSeen } from "./client-programs.ts";

const SENT = new Map([
  ["A", 4],
  ["B", 2],
]);

function faultsOf(...texts: string[]) {
  const seen = new TradesSeen();
  for (const text of texts) seen.take(text);
  return seen.faults(SENT);
}

describe("what bots tell", () => {
  test("each trade once and in order is no fault, however the text is cut", () => {
    const none = { lost: 0, repeated: 0, outOfOrder: 0 };
    expect(faultsOf("A 1 1\nB 1 1\nA", " 2 2\nA 2", " 3\nA 3 4\nB 2 2\n")).toEqual(none);
  });

  test("lost, repeated and out of order", () => {
    expect(faultsOf("A 1 1\nA 2 2\nA 4 4\nB 1 1\nB 2 2\n")).toMatchObject({ lost: 1, repeated: 0 });
    expect(faultsOf("A 1 1\nA 2 2\nA 2 2\nA 3 3\nA 4 4\nB 1 1\nB 2 2\n")).toMatchObject({
      repeated: 1,
      lost: 0,
    });
    expect(faultsOf("A 1 1\nA 3 3\nA 2 2\nA 4 4\nB 1 1\nB 2 2\n").outOfOrder).toBeGreaterThan(0);
    expect(faultsOf("A 1 1\n")).toMatchObject({ lost: 5 });
  });
});
