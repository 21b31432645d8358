import { expect, test } from "bun:test";
import { isLevel, type PrimaryPlace, type ReplicaPlace, unfitness } from "./wal-place.ts";

const primary: PrimaryPlace = {
  cluster: "7/5",
  timeline: "00000002",
  lsn: 900n,
  isUnflushed: false,
  askedAtMs: 0,
};
const replica: ReplicaPlace = {
  cluster: "7/5",
  timeline: "00000002",
  standby: true,
  lsn: 900n,
  paused: false,
};

test("a replica of the same cluster and timeline can stand in for the primary", () => {
  expect(unfitness(replica, primary)).toBe(null);
  expect(unfitness({ ...replica, cluster: "8/5" }, primary)).toContain("another cluster");
  expect(unfitness({ ...replica, standby: false }, primary)).toContain("takes writes");
  // It follows one that was the primary before, and may have what was lost with that.
  expect(unfitness({ ...replica, timeline: "00000001", lsn: 2_000n }, primary)).toBe(
    "it is on timeline 00000001, the primary on 00000002",
  );
});

test("it is level once it has replayed what the primary had", () => {
  const level = [899n, 900n, 901n, null].map((lsn) => isLevel({ ...replica, lsn }, primary));
  expect(level).toEqual([false, true, true, false]);
});
