import { expect, test } from "bun:test";
import { backoffMs, jittered, sleep, turn } from "./pauses.ts";
import { unlessAborted, within } from "./within.ts";

const NEVER_MS = 60_000;

test("within gives the promise, or what stands for it when the time is over", async () => {
  const never = new Promise<string>(() => {});
  expect(await within(Promise.resolve("here"), NEVER_MS, () => null)).toBe("here");
  expect(await within(never, 1, () => null)).toBeNull();
  const failing = within(never, 1, () => {
    throw new Error("late");
  });
  await expect(failing).rejects.toThrow("late");
  await expect(within(Promise.reject(new Error("lost")), NEVER_MS, () => null)).rejects.toThrow("lost");
});

test("a promise still counts while what stands for it is being waited for", async () => {
  const answer = Promise.withResolvers<string>();
  const given = within(answer.promise, 1, async () => {
    answer.resolve("just in time");
    await Bun.sleep(NEVER_MS);
  });
  expect(await given).toBe("just in time");
});

test("pauses double up to a bound", () => {
  const backoff = { firstMs: 100, maxMs: 5_000 };
  expect([0, 1, 2, 5, 6, 2_000].map((failures) => backoffMs(backoff, failures))).toEqual([
    100, 200, 400, 3_200, 5_000, 5_000,
  ]);
  const pause = jittered(100);
  expect(pause >= 50 && pause <= 100).toBe(true);
});

test("a sleep ends with its signal; a turn lets what has come go first", async () => {
  const stop = new AbortController();
  const slept = sleep(NEVER_MS, stop.signal);
  stop.abort();
  await slept;
  await sleep(NEVER_MS, stop.signal);
  const order: string[] = [];
  setImmediate(() => order.push("came before"));
  await turn();
  expect(order).toEqual(["came before"]);
});

test("a signal stands for a promise that it overtakes", async () => {
  const client = new AbortController();
  const never = new Promise<string>(() => {});
  expect(await unlessAborted(Promise.resolve("here"), client.signal, () => null)).toBe("here");
  const waiting = unlessAborted(never, client.signal, () => "gone");
  client.abort();
  expect(await waiting).toBe("gone");
  expect(await unlessAborted(never, client.signal, () => "gone")).toBe("gone");
  const failing = unlessAborted(never, client.signal, () => {
    throw new Error("gone");
  });
  await expect(failing).rejects.toThrow("gone");
  expect(await unlessAborted(Promise.resolve("here"), undefined, () => null)).toBe("here");
});
