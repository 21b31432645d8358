import { expect, test } from "bun:test";
import {
  RECOVERED_AFTER_MS,
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

test("a child that lived long enough starts over", () => {
  const policy = new RestartPolicy(middle);
  policy.afterDeath({ nowMs: 0, livedMs: 0 });
  policy.afterDeath({ nowMs: 100, livedMs: 0 });
  const almost = policy.afterDeath({ nowMs: 40_000, livedMs: RECOVERED_AFTER_MS - 1 });
  expect(almost).toEqual({ pauseMs: RESTART_PAUSE_FIRST_MS * 2, deaths: 3, spanMs: 40_000 });
  const recovered = policy.afterDeath({ nowMs: 90_000, livedMs: RECOVERED_AFTER_MS });
  expect(recovered).toEqual({ pauseMs: 0, deaths: 1, spanMs: 0 });
});
