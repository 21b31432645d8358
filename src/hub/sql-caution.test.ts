import { afterEach, expect, jest, test } from "bun:test";
import { SqlCaution } from "./sql-caution.ts";

afterEach(() => jest.restoreAllMocks());

function at(ms: number): void {
  jest.spyOn(performance, "now").mockImplementation(() => ms);
}

test("one end is forgiven, however many statements met it; the second keeps SQL away for a while", () => {
  const caution = new SqlCaution();
  at(1_000);
  for (let i = 0; i < 20; i++) caution.hubEnded();
  expect(() => caution.admit()).not.toThrow();
  at(31_000);
  caution.hubEnded();
  at(34_500);
  expect(() => caution.admit()).toThrow(
    "ended 2 times within 60 s while SQL ran in it; SQL is refused for another 7 s",
  );
  at(41_001);
  expect(() => caution.admit()).not.toThrow();
});

test("ends that are far apart are forgiven", () => {
  const caution = new SqlCaution();
  at(1_000);
  caution.hubEnded();
  at(61_001);
  caution.hubEnded();
  expect(() => caution.admit()).not.toThrow();
});
