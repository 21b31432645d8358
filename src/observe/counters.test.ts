import { expect, test } from "bun:test";
import { countAnswer, createCounters, snapshot } from "./counters.ts";

test("answers are counted by status; a snapshot stays as it was", () => {
  const counters = createCounters();
  for (const status of [101, 200, 304, 400, 404, 500, 503]) countAnswer(counters, status);
  const before = snapshot(counters);
  countAnswer(counters, 200);
  expect(before).toMatchObject({ requests: 7, clientErrors: 2, serverErrors: 2 });
  expect(counters.requests).toBe(8);
});
