import { expect, test } from "bun:test";
import { DoubtError } from "./doubt.ts";
import { inferFamily, inferInterval } from "./infer-kind.ts";

const BAR_HEADER = ["open", "high", "low", "close", "volume"];

function doubtOf(infer: () => unknown): string {
  try {
    infer();
  } catch (error) {
    if (error instanceof DoubtError) return error.message;
    throw error;
  }
  return "no doubt";
}

/** Of stamps as text, of one ticker. */
function intervalOf(...texts: string[]): string {
  return inferInterval(
    texts.map((text) => ({
      ticker: "T",
      file: 0,
      ms: Date.parse(text.includes(":") ? `${text.replace(" ", "T")}Z` : text),
      hasTime: text.includes(":"),
      atMidnight: !text.includes(":") || text.includes("00:00:00"),
    })),
  ).interval;
}

const family = (...header: string[]): string => inferFamily(header, {});

test("ticks are told by their columns", () => {
  expect(family("timestamp", "price", "size")).toBe("trade");
  expect(family("Timestamp", "Price", "Size", "Ask_Price", "Ask_Size")).toBe("quote");
  expect(family("ts", "bid", "bid_size", "ask", "ask_size")).toBe("quote");
  expect(family("Date", "Price", "Open", "High", "Low", "Vol.")).toBe("bars");
  expect(family("Date", "Open", "High", "Low", "Last", "Volume")).toBe("bars");
});

test("columns that leave a doubt are asked about", () => {
  expect(doubtOf(() => family("timestamp", "price"))).toContain("--type quote or --type trade");
  expect(doubtOf(() => family("timestamp", "price", "size", ...BAR_HEADER))).toContain("bars and ticks");
  expect(doubtOf(() => family("ts_event", "price", "size", "bid_px_00", "ask_px_00"))).toContain("--type");
  expect(doubtOf(() => family("date", "open", "high", "low", "price_usd"))).toContain("--column close=NAME");
  expect(doubtOf(() => family("name", "age"))).toContain('"name", "age"');
});

test("bars without a time, at midnight, or once a day are daily", () => {
  expect(intervalOf("2024-01-02", "2024-01-03")).toBe("daily");
  expect(intervalOf("2024-01-02")).toBe("daily");
  expect(intervalOf("2024-01-02 00:00:00", "2024-01-03 00:00:00")).toBe("daily");
  expect(intervalOf("2024-03-09 06:00", "2024-03-10 06:00", "2024-03-11 05:00", "2024-03-14 05:00")).toBe(
    "daily",
  );
});

test("bars of other lengths are told by the time between two, holes left aside", () => {
  const at = (...times: string[]): string => intervalOf(...times.map((time) => `2024-01-02 ${time}`));
  expect(at("09:30", "09:35", "09:40", "10:00", "10:05")).toBe("5min");
  expect(at("09:30:00", "09:31:30")).toBe("90s");
  expect(at("00:00", "04:00", "08:00")).toBe("4hour");
  expect(at("10:00", "11:00", "14:00")).toBe("hourly");
  expect(intervalOf("2024-01-02 23:00", "2024-01-03 00:00")).toBe("hourly");
});

test("the time between bars is that of a ticker", () => {
  const at = (ticker: string, minute: number) => ({
    ticker,
    file: 0,
    ms: minute * 60_000,
    hasTime: true,
    atMidnight: false,
  });
  expect(inferInterval([at("A", 570), at("B", 571), at("A", 575), at("B", 576)]).interval).toBe("5min");
  expect(doubtOf(() => inferInterval([at("A", 570), at("B", 571)]))).toContain("a single bar of a ticker");
});

test("where the stamps leave a doubt, the message says what to pass", () => {
  expect(doubtOf(() => intervalOf("2024-01-02 00:00:00"))).toContain(
    "--interval, such as daily, hourly or 5min",
  );
  expect(doubtOf(() => intervalOf("2024-01-02 16:00", "2024-01-04 04:00"))).toContain("at most one a day");
  // Most of them lie further apart than two do.
  const sparse = ["16:00", "16:01", "16:03", "16:06", "16:10"].map((time) => `2024-01-02 ${time}`);
  expect(doubtOf(() => intervalOf(...sparse))).toContain("tell no length");
  expect(doubtOf(() => intervalOf("2024-01-02 16:00:00", "2024-01-02 16:00:00.5"))).toContain(
    "tell no length",
  );
  expect(doubtOf(() => intervalOf())).toContain("--interval");
});
