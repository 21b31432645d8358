import { describe, expect, test } from "bun:test";
import type { Bucket, Grid, GridOptions } from "./contract.ts";
import { openGrid } from "./open-grid.ts";
import { parseTimeframe } from "./timeframe.ts";

type Asked = Omit<GridOptions, "timeframe">;

const micros = (text: string): number => Date.parse(text) * 1_000;
const grid = (timeframe: string, asked: Asked = {}): Grid =>
  openGrid({ timeframe: parseTimeframe(timeframe), ...asked });

/** Local text of a bucket: `MM-DD HH:MM … HH:MM`. */
function shown({ start, end }: Bucket, zone: string): string {
  const local = (at: number): string =>
    Temporal.Instant.fromEpochMilliseconds(at / 1_000)
      .toZonedDateTimeISO(zone)
      .toPlainDateTime()
      .toString();
  const [from, until] = [local(start), local(end)];
  const isOneDay = from.slice(0, 10) === until.slice(0, 10);
  return `${from.slice(5)}-${until.slice(isOneDay ? 11 : 5)}`.replaceAll("T", " ");
}

function bucketsIn(timeframe: string, from: string, to: string, asked: Asked, zone: string): string[] {
  const found = grid(timeframe, asked).buckets(micros(from), micros(to), 1_000);
  return [...found].map((bucket) => shown(bucket, zone));
}

function found(one: Grid, text: string, zone: string): string | null {
  return one.seek(micros(text)) ? shown(one, zone) : null;
}

const NEW_YORK = "America/New_York";

describe("seconds, minutes and hours", () => {
  test("lie on the wall clock, and end at the close", () => {
    const hours = grid("1Hour", { calendar: "XNYS" });
    expect(found(hours, "2024-07-02T13:29:59.999Z", NEW_YORK)).toBeNull();
    expect(found(hours, "2024-07-02T13:30:00Z", NEW_YORK)).toBe("07-02 09:00:00-10:00:00");
    expect(hours.from).toBe(micros("2024-07-02T13:30:00Z"));
    expect(found(hours, "2024-07-02T19:59:59.999Z", NEW_YORK)).toBe("07-02 15:00:00-16:00:00");
    expect(found(hours, "2024-07-02T20:00:00Z", NEW_YORK)).toBeNull();
    expect(found(hours, "2024-07-03T16:59:00Z", NEW_YORK)).toBe("07-03 12:00:00-13:00:00");
    expect(found(hours, "2024-07-03T17:00:00Z", NEW_YORK)).toBeNull();
    expect(found(hours, "2024-07-04T15:00:00Z", NEW_YORK)).toBeNull();
  });

  test("that don't divide an hour begin with the session, whose last bucket is cut", () => {
    const day = ["2024-07-03T12:00Z", "2024-07-03T22:00Z"] as const;
    const asked = { calendar: "XNYS" };
    expect(bucketsIn("2hour", ...day, asked, NEW_YORK)).toEqual([
      "07-03 09:30:00-11:30:00",
      "07-03 11:30:00-13:00:00",
    ]);
    expect(bucketsIn("2hour", ...day, { ...asked, align: "clock" }, NEW_YORK)).toEqual([
      "07-03 08:00:00-10:00:00",
      "07-03 10:00:00-12:00:00",
      "07-03 12:00:00-13:00:00",
    ]);
    expect(bucketsIn("7min", ...day, asked, NEW_YORK).slice(0, 2)).toEqual([
      "07-03 09:30:00-09:37:00",
      "07-03 09:37:00-09:44:00",
    ]);
    expect(bucketsIn("1hour", ...day, { ...asked, align: "session" }, NEW_YORK).at(-1)).toBe(
      "07-03 12:30:00-13:00:00",
    );
  });

  test("never cross a break, and two of them never have one label", () => {
    const day = ["2024-11-05T00:00Z", "2024-11-05T09:00Z"] as const;
    expect(bucketsIn("1hour", ...day, { calendar: "JPX" }, "Asia/Tokyo")).toEqual([
      "11-05 09:00:00-10:00:00",
      "11-05 10:00:00-11:00:00",
      "11-05 11:00:00-11:30:00",
      "11-05 12:00:00-13:00:00",
      "11-05 13:00:00-14:00:00",
      "11-05 14:00:00-15:00:00",
      "11-05 15:00:00-15:30:00",
    ]);
    expect(bucketsIn("8hour", ...day, { calendar: "JPX", align: "clock" }, "Asia/Tokyo")).toEqual([
      "11-05 08:00:00-11:30:00",
      "11-05 12:30:00-15:30:00",
    ]);
    // This calendar closes at 17:00 and opens again in the same moment.
    expect(
      bucketsIn(
        "2hour",
        "2024-07-01T20:00Z",
        "2024-07-02T02:00Z",
        { calendar: "CMES", align: "clock" },
        "America/Chicago",
      ),
    ).toEqual([
      "07-01 14:00:00-16:00:00",
      "07-01 16:00:00-17:00:00",
      "07-01 17:00:00-18:00:00",
      "07-01 18:00:00-20:00:00",
      "07-01 20:00:00-22:00:00",
    ]);
  });

  test("of markets without a close have each instant once over changes of the clock", () => {
    const spring = ["2024-03-10T05:00Z", "2024-03-10T12:00Z"] as const;
    const autumn = ["2024-11-03T04:00Z", "2024-11-03T13:00Z"] as const;
    const asked = { zone: NEW_YORK };
    expect(bucketsIn("4hour", ...spring, asked, NEW_YORK)).toEqual([
      "03-10 00:00:00-04:00:00",
      "03-10 04:00:00-08:00:00",
    ]);
    expect(bucketsIn("2hour", ...spring, asked, NEW_YORK).slice(0, 3)).toEqual([
      "03-10 00:00:00-03:00:00",
      "03-10 03:00:00-04:00:00",
      "03-10 04:00:00-06:00:00",
    ]);
    const four = [...grid("4hour", asked).buckets(micros(autumn[0]), micros(autumn[1]), 9)];
    expect(four.map(({ start, end }) => (end - start) / 3_600e6)).toEqual([5, 4]);
    expect(bucketsIn("hourly", ...autumn, asked, NEW_YORK).slice(0, 4)).toEqual([
      "11-03 00:00:00-01:00:00",
      "11-03 01:00:00-01:00:00",
      "11-03 01:00:00-02:00:00",
      "11-03 02:00:00-03:00:00",
    ]);
    // There, clocks go back by half an hour, at 02:00.
    const lordHowe = [
      ...grid("hourly", { zone: "Australia/Lord_Howe" }).buckets(
        micros("2024-04-06T14:00Z"),
        micros("2024-04-06T17:00Z"),
        9,
      ),
    ];
    expect(lordHowe.map(({ start, end }) => (end - start) / 60e6)).toEqual([90, 60, 60]);
  });
});

describe("days and above", () => {
  test("follow session dates: a future's Sunday evening belongs to Monday", () => {
    const days = grid("1Day", { calendar: "CME" });
    expect(found(days, "2024-06-30T22:30Z", "America/Chicago")).toBe("07-01 00:00:00-07-02 00:00:00");
    expect(days.date).toBe(Date.UTC(2024, 6, 1) / 86_400_000);
    expect(found(days, "2024-07-01T21:30Z", "America/Chicago")).toBeNull();
    expect(found(days, "2024-07-01T22:00Z", "America/Chicago")).toBe("07-02 00:00:00-07-03 00:00:00");
  });

  test("are labelled in the zone that is asked for", () => {
    const days = grid("1Day", { calendar: "XTKS", zone: "UTC" });
    expect(found(days, "2024-07-02T00:30Z", "UTC")).toBe("07-02 00:00:00-07-03 00:00:00");
    expect(found(grid("1Day", { calendar: "XTKS" }), "2024-07-02T00:30Z", "UTC")).toBe(
      "07-01 15:00:00-07-02 15:00:00",
    );
  });

  test("have 23 and 25 hours over changes of the clock", () => {
    const lengths = (from: string, to: string): number[] =>
      [...grid("daily", { zone: NEW_YORK }).buckets(micros(from), micros(to), 9)].map(
        ({ start, end }) => (end - start) / 3_600e6,
      );
    expect(lengths("2024-03-09T12:00Z", "2024-03-11T12:00Z")).toEqual([24, 23, 24]);
    expect(lengths("2024-11-02T12:00Z", "2024-11-04T12:00Z")).toEqual([24, 25, 24]);
  });

  test("weeks begin on Monday, also where it is a holiday", () => {
    expect(
      bucketsIn("1Week", "2024-05-24T14:00Z", "2024-06-04T14:00Z", { calendar: "XNYS" }, NEW_YORK),
    ).toEqual([
      "05-20 00:00:00-05-27 00:00:00",
      "05-27 00:00:00-06-03 00:00:00",
      "06-03 00:00:00-06-10 00:00:00",
    ]);
  });

  test("months, quarters and years begin with their first calendar day", () => {
    const asked = { calendar: "XNYS" };
    const at = "2024-05-28T14:00Z";
    expect(found(grid("1M", asked), at, NEW_YORK)).toBe("05-01 00:00:00-06-01 00:00:00");
    expect(found(grid("3Month", asked), at, NEW_YORK)).toBe("04-01 00:00:00-07-01 00:00:00");
    expect(found(grid("12Month", asked), at, NEW_YORK)).toBe("01-01 00:00:00-01-01 00:00:00");
    expect(found(grid("3Month"), "1969-12-31T23:59Z", "UTC")).toBe("10-01 00:00:00-01-01 00:00:00");
  });

  test("of a regular session leave out what is traded before and after it", () => {
    const days = grid("daily", { calendar: "XNYS" });
    expect(found(days, "2024-07-02T13:00Z", NEW_YORK)).toBeNull();
    const extended = grid("daily", { calendar: "XNYS", session: "extended" });
    expect(found(extended, "2024-07-02T13:00Z", NEW_YORK)).toBe("07-02 00:00:00-07-03 00:00:00");
    expect(found(extended, "2024-07-03T22:00Z", NEW_YORK)).toBeNull();
  });
});

test("buckets are bounded, and leave what was found as it is", () => {
  const minutes = grid("1min", { calendar: "XNYS" });
  minutes.seek(micros("2024-07-02T14:00Z"));
  const { start } = minutes;
  expect([...minutes.buckets(micros("2024-07-01T00:00Z"), micros("2025-07-01T00:00Z"), 5)]).toHaveLength(5);
  expect([...minutes.buckets(micros("2024-07-04T00:00Z"), micros("2024-07-05T00:00Z"), 5)]).toEqual([]);
  expect(minutes.start).toBe(start);
});

test("rows of days have dates for stamps, whatever the zone", () => {
  for (const zone of [NEW_YORK, "Asia/Tokyo"]) {
    const weeks = grid("1Week", { calendar: "XNYS", zone, stamps: "dates" });
    expect(found(weeks, "2024-05-31T00:00Z", zone)).toBe("05-27 00:00:00-06-03 00:00:00");
    expect(found(weeks, "2024-06-03T00:00Z", zone)).toBe("06-03 00:00:00-06-10 00:00:00");
    // A row of a day without a session isn't lost.
    expect(found(weeks, "2024-06-02T00:00Z", zone)).toBe("05-27 00:00:00-06-03 00:00:00");
  }
  const asked: Asked = { calendar: "XNYS", stamps: "dates" };
  expect(bucketsIn("daily", "2024-07-03T00:00Z", "2024-07-08T00:00Z", asked, NEW_YORK)).toEqual([
    "07-03 00:00:00-07-04 00:00:00",
    "07-05 00:00:00-07-06 00:00:00",
  ]);
  const late = grid("daily", asked);
  expect([...late.buckets(micros("2040-01-02T00:00Z"), micros("2040-01-03T00:00Z"), 9)]).toHaveLength(1);
  expect(late.assumed).toContain("are assumed");
  expect(() => grid("1hour", asked)).toThrow('timeframe: got "hourly", expected a day or more');
});

test("infinite bounds and what is no number end", () => {
  for (const options of [{ calendar: "XNYS" }, {}, { calendar: "CME" }]) {
    for (const name of ["1min", "daily", "1month"]) {
      const one = grid(name, options);
      for (const at of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 8.64e18, -8.64e18])
        expect([at, one.seek(at)]).toEqual([at, false]);
      expect([...one.buckets(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 3)]).toHaveLength(3);
      expect([...one.buckets(Number.NaN, Number.POSITIVE_INFINITY, 3)]).toEqual([]);
      expect(one.seek(micros("2024-07-02T15:00Z"))).toBe(true);
    }
  }
});

test("a grid tells what its calendar doesn't know for certain, once it was asked for", () => {
  const days = grid("daily", { calendar: "XSHG" });
  days.seek(micros("2026-11-27T03:00Z"));
  expect(days.assumed).toBeNull();
  expect(days.seek(micros("2028-01-04T03:00Z"))).toBe(true);
  expect(days.assumed).toContain("calendar XSHG: days before 1990-12-03 and after 2026-12-31 are assumed");
  const filled = grid("daily", { calendar: "XSHG" });
  expect([...filled.buckets(micros("2028-01-01T00:00Z"), micros("2028-01-08T00:00Z"), 9)]).toHaveLength(5);
  expect(filled.assumed).not.toBeNull();
  expect(grid("daily", { calendar: "LSE", session: "extended" }).assumed).toBe(
    "calendar XLON: hours before and after the regular session are not known",
  );
  expect(grid("daily", { calendar: "XNYS", session: "extended" }).assumed).toBeNull();
});

test("errors name the parameter, the value and what was expected", () => {
  expect(() => grid("daily", { zone: "EST" })).toThrow('zone: got "EST", expected an IANA name');
  expect(() => grid("daily", { calendar: "MOON" })).toThrow('calendar: got "MOON", expected one of XNYS');
  for (const session of ["open", "9:30-16:00", "09:30-25:00", "09:30", "24:00-09:00", ""])
    expect(() => grid("daily", { session })).toThrow(`session: got "${session}", expected "regular"`);
  expect(() => grid("1min", { align: "open" as "clock" })).toThrow('align: got "open", expected "clock"');
});
