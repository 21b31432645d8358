import { expect, test } from "bun:test";
import { Conditions } from "./conditions.ts";

test("a condition is logged when it begins and when it ends, and tells its newest reason between", () => {
  const lines: string[] = [];
  const conditions = new Conditions({
    warning: (line) => lines.push(`W ${line}`),
    info: (line) => lines.push(`I ${line}`),
  });

  conditions.end("disk", "never began");
  conditions.begin("disk", "9 MB are free");
  conditions.begin("disk", "8 MB are free");
  conditions.begin("descriptors", "2 descriptors are free");
  expect(conditions.reasons).toEqual(["8 MB are free", "2 descriptors are free"]);
  expect(conditions.has("disk")).toBe(true);

  conditions.end("disk", "900 MB are free");
  expect(conditions.reasons).toEqual(["2 descriptors are free"]);
  expect(lines).toEqual(["W 9 MB are free", "W 2 descriptors are free", "I 900 MB are free"]);
});
