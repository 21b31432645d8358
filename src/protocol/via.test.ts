import { expect, test } from "bun:test";
import { RequestError } from "./errors.ts";
import { passVia, VIA_LENGTH_MAX } from "./via.ts";

test("each server adds itself", () => {
  expect(passVia(null, "a")).toBe("a");
  expect(passVia("", "a")).toBe("a");
  expect(passVia("a,b", "c")).toBe("a,b,c");
});

test("a server that finds itself is in a circle", () => {
  expect(() => passVia("a,b", "a")).toThrow(RequestError);
  expect(() => passVia("ab", "a")).not.toThrow();
});

test("the number of servers is bounded", () => {
  const passed = Array.from({ length: VIA_LENGTH_MAX }, (_, i) => `s${i}`);
  expect(() => passVia(passed.join(","), "x")).toThrow("more than 16 servers");
  expect(passVia(passed.slice(1).join(","), "x")).toEndWith(",x");
});
