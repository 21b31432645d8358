import { describe, expect, test } from "bun:test";
import { SENT } from "../stream/frame-form.ts";
import { type LeftOutCounts, WaitingUpdates } from "./waiting-updates.ts";

const gapText = (ticker: string, range: { from: number; to: number }): string =>
  SENT.gap(ticker, range, "slow", "e");

const noCounts = (): LeftOutCounts => ({ updatesFolded: 0, slowGaps: 0 });

const add = (waiting: WaitingUpdates, type: string, position: number, ticker = "A"): boolean =>
  waiting.add(ticker, { position, type, frame: "" }, `{"seq":${position}}`);

describe("conflate", () => {
  test("what waits begins after the newest that was sent, also where one before it is folded into a later one", () => {
    const waiting = new WaitingUpdates("conflate", 1_000_000, { gapText, counts: noCounts() });
    for (const [type, position] of [
      ["t0", 1],
      ["t1", 2],
      ["t0", 3],
    ] as const)
      add(waiting, type, position);
    expect(waiting.firstOf("A")).toBe(1);
    expect(waiting.take()).toBe('{"seq":2}');
    expect(waiting.firstOf("A")).toBe(3);
    expect(waiting.first()).toEqual(new Map([["A", 3]]));
    expect(waiting.take()).toBe('{"seq":3,"conflated":1}');
    expect(waiting.firstOf("A")).toBeUndefined();
  });

  test("deletions are never folded: none stands for another", () => {
    const waiting = new WaitingUpdates("conflate", 1_000_000, { gapText, counts: noCounts() });
    const types = ["t0", "tick_delete t0", "t0", "tick_delete t0", "ticker_rename", "ticker_rename"];
    for (const [index, type] of types.entries()) add(waiting, type, index + 1);
    expect(types.map(() => waiting.take())).toEqual([
      '{"seq":2}',
      '{"seq":3,"conflated":1}',
      ...[4, 5, 6].map((seq) => `{"seq":${seq}}`),
      undefined,
    ]);
  });

  test("a snapshot stays at its place, and the next one replaces it", () => {
    const waiting = new WaitingUpdates("conflate", 1_000_000, { gapText, counts: noCounts() });
    add(waiting, "t0", 1);
    waiting.addGap("A", 2, 3, "gap");
    waiting.addSnapshot("A", 3, "old");
    add(waiting, "t0", 4);
    waiting.addGap("A", 5, 5, "gap 2");
    waiting.addSnapshot("A", 5, "snapshot");
    expect([1, 2, 3, 4, 5].map(() => waiting.take())).toEqual([
      "gap",
      '{"seq":4,"conflated":1}',
      "gap 2",
      "snapshot",
      undefined,
    ]);
    expect(waiting.bytes).toBe(0);
  });
});

test("where updates are dropped, what isn't kept is dropped with them", () => {
  const waiting = new WaitingUpdates("gap", 16, { gapText, counts: noCounts() });
  add(waiting, "t0", 1);
  while (waiting.bytes < 16) add(waiting, "t0", waiting.size + 1);
  const full = waiting.size;
  add(waiting, "t0", full + 1);
  waiting.addGap("A", full + 2, full + 4, "gap");
  waiting.addSnapshot("A", full + 4, "snapshot");
  const taken = Array.from({ length: full + 2 }, () => waiting.take());
  expect(taken.at(-1)).toBeUndefined();
  expect(JSON.parse(taken.at(-2)!)).toMatchObject({
    seq: full + 4,
    data: { type: "gap", to: full + 4, reason: "slow" },
  });
});
