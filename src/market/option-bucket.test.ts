import { expect, test } from "bun:test";
import { optionBucket } from "./option-bucket.ts";

test.each([
  // In winter New York is five hours behind, in summer four.
  ["2024-01-02T14:29:59Z", "2024-01-02 13:00:00.000000", "before the session"],
  ["2024-01-02T14:30:00Z", "2024-01-02 14:30:00.000000", "its first minute"],
  ["2024-01-02T14:59:59.999Z", "2024-01-02 14:45:00.000000", "in the session"],
  ["2024-01-02T20:59:59Z", "2024-01-02 20:45:00.000000", "its last minute"],
  ["2024-01-02T21:00:00Z", "2024-01-02 21:00:00.000000", "after it"],
  ["2024-01-03T00:59:59Z", "2024-01-03 00:00:00.000000", "in the evening"],
  ["2024-01-03T01:00:00Z", "2024-01-03 01:00:00.000000", "at night, from 20:00 on"],
  ["2024-01-03T08:59:59Z", "2024-01-03 05:00:00.000000", "at night, from midnight on"],
  ["2024-07-02T13:44:00Z", "2024-07-02 13:30:00.000000", "in the session, in summer"],
  ["2024-01-06T15:10:00Z", "2024-01-06 13:00:00.000000", "on a Saturday"],
])("a save at %s belongs to %s: %s", (now, bucket) => {
  expect(optionBucket(Date.parse(now))).toBe(bucket);
});
