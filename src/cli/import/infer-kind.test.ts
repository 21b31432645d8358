import { expect, test } from "bun:test";
import { AmbiguousKindError, inferKind } from "./infer-kind.ts";

const BAR_VALUES = ["1", "2", "0.5", "1.5", "100"];
const BAR_HEADER = ["open", "high", "low", "close", "volume"];

function inferBars(stamps: string[], stampColumn = "date"): string {
  return inferKind(
    [stampColumn, ...BAR_HEADER],
    stamps.map((stamp) => [stamp, ...BAR_VALUES]),
  );
}

function doubtOf(infer: () => unknown): string {
  try {
    infer();
  } catch (error) {
    if (error instanceof AmbiguousKindError) return error.message;
    throw error;
  }
  return "no doubt";
}

test("ticks are told by their columns", () => {
  expect(inferKind(["timestamp", "price", "size"], [])).toBe("trade");
  expect(inferKind(["Timestamp", "Price", "Size", "Ask_Price", "Ask_Size"], [])).toBe("quote");
  expect(inferKind(["ts", "bid", "bid_size", "ask", "ask_size"], [])).toBe("quote");
});

test("bars without a time, or at midnight as written, are daily", () => {
  expect(inferBars(["2024-01-02", "2024-01-03"])).toBe("daily");
  expect(inferBars(["20240102"])).toBe("daily");
  expect(inferBars(["2024-01-02 00:00:00", "2024-01-03 00:00:00"])).toBe("daily");
  expect(inferBars(["2024-01-02 00:00:00-05:00", "2024-07-02 00:00:00-04:00"])).toBe("daily");
});

test("bars an hour or more apart within a day are hourly", () => {
  expect(inferBars(["2024-01-02T14:30:00Z", "2024-01-02T15:30:00Z"], "datetime")).toBe("hourly");
  expect(inferBars(["2024-01-02T23:00:00Z", "2024-01-03T00:00:00Z"], "datetime")).toBe("hourly");
  expect(
    inferKind(
      ["date", "time", ...BAR_HEADER],
      ["10:00", "11:00"].map((time) => ["2024-01-02", time, ...BAR_VALUES]),
    ),
  ).toBe("hourly");
});

test("a row whose time can't be read leaves no doubt about the others", () => {
  expect(inferBars(["2024-01-02", "soon", "2024-01-03"])).toBe("daily");
});

test("where there is a doubt, the message says what to pass", () => {
  expect(doubtOf(() => inferBars(["2024-01-02 00:00:00"]))).toContain(
    "--interval, such as daily, hourly or 5min",
  );
  expect(doubtOf(() => inferBars(["2024-01-02 16:00", "2024-01-03 16:00"]))).toContain("only one a day");
  // Most of them lie further apart than two do.
  const sparse = ["16:00", "16:01", "16:03", "16:06", "16:10"].map((time) => `2024-01-02 ${time}`);
  expect(doubtOf(() => inferBars(sparse))).toContain("tell no length");
  expect(doubtOf(() => inferBars(["2024-01-02 16:00:00", "2024-01-02 16:00:00.5"]))).toContain(
    "tell no length",
  );
  expect(doubtOf(() => inferBars([]))).toContain("--interval");
  expect(doubtOf(() => inferKind(["timestamp", "price"], []))).toContain("--type quote or --type trade");
  expect(doubtOf(() => inferKind(["timestamp", "price", "size", ...BAR_HEADER], []))).toContain(
    "bars and ticks",
  );
});

test("bars of other lengths are told by the time between two, holes left aside", () => {
  const at = (...times: string[]): string => inferBars(times.map((time) => `2024-01-02 ${time}`));
  expect(at("09:30", "09:35", "09:40", "10:00", "10:05")).toBe("5min");
  expect(at("09:30:00", "09:31:30")).toBe("90s");
  expect(at("00:00", "04:00", "08:00")).toBe("4hour");
  expect(at("10:00", "11:00", "14:00")).toBe("hourly");
});

test("columns of something else are named", () => {
  expect(doubtOf(() => inferKind(["name", "age"], []))).toContain('"name", "age"');
});
