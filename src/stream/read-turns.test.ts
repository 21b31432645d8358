import { expect, jest, test } from "bun:test";
import { ReadTurns } from "./read-turns.ts";

test("so many reads are under way at once, in their order, and each gets its own answer", async () => {
  const turns = new ReadTurns();
  let underWay = 0;
  let most = 0;
  const begun: number[] = [];
  const read = async (i: number): Promise<number> => {
    begun.push(i);
    most = Math.max(most, ++underWay);
    await Bun.sleep(i % 3);
    underWay--;
    if (i % 10 === 7) throw new Error(`read ${i}`);
    return i;
  };
  const answers = await Promise.allSettled(Array.from({ length: 2_000 }, (_, i) => turns.run(() => read(i))));
  expect(
    answers.map((answer) => (answer.status === "fulfilled" ? answer.value : answer.reason.message)),
  ).toEqual(answers.map((_, i) => (i % 10 === 7 ? `read ${i}` : i)));
  expect(begun).toEqual(answers.map((_, i) => i));
  expect(most).toBe(128);
  // All turns are back, and a synchronous read answers at once.
  expect(turns.run(() => 5)).toBe(5);
});

test("who waits in vain hears so when its time is over, though no read has ended", async () => {
  jest.useFakeTimers();
  try {
    const turns = new ReadTurns();
    for (let i = 0; i < 128; i++) void turns.run(() => new Promise(() => {}));
    let outcome: unknown = "none yet";
    Promise.resolve(turns.run(() => 1)).catch((error: unknown) => {
      outcome = error;
    });
    jest.advanceTimersByTime(10_000);
    for (let i = 0; i < 10; i++) await Promise.resolve();
    expect(outcome).toMatchObject({
      status: 503,
      message: "too many subscriptions wait for the database",
    });
  } finally {
    jest.useRealTimers();
  }
});
