import { expect, test } from "bun:test";
import {
  DEATHS_AT_ONCE_MAX,
  DEATHS_WITHIN_MS,
  RESTART_JITTER,
  RESTART_PAUSE_FIRST_MS,
  RESTART_PAUSE_MAX_MS,
  RestartPolicy,
} from "./restart-policy.ts";

const middle = () => 0.5; // no jitter

test("the first death is followed by a restart at once", () => {
  const policy = new RestartPolicy(middle);
  expect(policy.afterDeath({ nowMs: 1_000, livedMs: 10 })).toEqual({ pauseMs: 0, deaths: 1, spanMs: 0 });
});

test("pauses double from death to death up to the bound", () => {
  const policy = new RestartPolicy(middle);
  const pauses = Array.from({ length: 12 }, (_, i) => policy.afterDeath({ nowMs: i, livedMs: 0 }).pauseMs);
  expect(pauses.slice(0, 5)).toEqual([
    0,
    RESTART_PAUSE_FIRST_MS,
    RESTART_PAUSE_FIRST_MS * 2,
    RESTART_PAUSE_FIRST_MS * 4,
    RESTART_PAUSE_FIRST_MS * 8,
  ]);
  expect(pauses.at(-1)).toBe(RESTART_PAUSE_MAX_MS);
});

test("the pause stays finite after any number of deaths", () => {
  const policy = new RestartPolicy(() => 1);
  for (let i = 0; i < 5_000; i++) policy.afterDeath({ nowMs: i, livedMs: 0 });
  expect(policy.afterDeath({ nowMs: 5_000, livedMs: 0 }).pauseMs).toBe(RESTART_PAUSE_MAX_MS * 1.2);
});

test("jitter moves a pause by its share in both directions", () => {
  const pauseWith = (random: number) => {
    const policy = new RestartPolicy(() => random);
    policy.afterDeath({ nowMs: 0, livedMs: 0 });
    return policy.afterDeath({ nowMs: 1, livedMs: 0 }).pauseMs;
  };
  expect(pauseWith(0)).toBe(RESTART_PAUSE_FIRST_MS * (1 - RESTART_JITTER));
  expect(pauseWith(1)).toBe(RESTART_PAUSE_FIRST_MS * (1 + RESTART_JITTER));
});

test("children that had been ready are followed at once, so often in a minute and no more", () => {
  const policy = new RestartPolicy(middle);
  const pauses = Array.from(
    { length: DEATHS_AT_ONCE_MAX + 4 },
    (_, i) => policy.afterDeath({ nowMs: i * 100, livedMs: 50 }).pauseMs,
  );
  expect(pauses.slice(0, DEATHS_AT_ONCE_MAX + 1).every((pause) => pause === 0)).toBe(true);
  expect(pauses.slice(DEATHS_AT_ONCE_MAX + 1)).toEqual([250, 500, 1_000]);
  expect(policy.afterDeath({ nowMs: DEATHS_WITHIN_MS, livedMs: 50 }).pauseMs).toBe(0);
});

test("one that had been ready ends a row of failed starts", () => {
  const policy = new RestartPolicy(middle);
  for (let i = 0; i < 5; i++) policy.afterDeath({ nowMs: i, livedMs: 0 });
  expect(policy.afterDeath({ nowMs: 100, livedMs: 10 })).toEqual({ pauseMs: 0, deaths: 1, spanMs: 0 });
  expect(policy.afterDeath({ nowMs: 200, livedMs: 0 }).pauseMs).toBe(0);
  expect(policy.afterDeath({ nowMs: 300, livedMs: 0 }).pauseMs).toBe(RESTART_PAUSE_FIRST_MS);
});
