import { expect, test } from "bun:test";
import {
  nowText,
  parseBound,
  parseCalendarDate,
  parseTimestamp,
  TimestampError,
  toHourly,
  toWire,
} from "./timestamp.ts";

const TEN = "2024-01-02 10:00:00.000000";
const MIDNIGHT = "2024-01-02 00:00:00.000000";

const READ: Record<string, string> = {
  "2024-01-02T10:00:00Z": TEN,
  "2024-01-02T10:00:00": TEN,
  "2024-01-02 10:00:00": TEN,
  "2024-01-02 10:00:00+00:00": TEN,
  "2024-01-02T10:00:00.5Z": "2024-01-02 10:00:00.500000",
  "2024-01-02T10:00:00.123456": "2024-01-02 10:00:00.123456",
  "2024-01-02T10:00:00.123456+00:00": "2024-01-02 10:00:00.123456",
  "2024-01-02T10:00:00.1234567Z": "2024-01-02 10:00:00.123456",
  "2024-01-02T10:00:00.999999999": "2024-01-02 10:00:00.999999",
  "2024-01-02T10:00:00.123456789012Z": "2024-01-02 10:00:00.123456",
  "2024-01-02": MIDNIGHT,
  // To UTC, over the ends of days, months and years.
  "2024-01-02T10:00:00+02:00": "2024-01-02 08:00:00.000000",
  "2024-01-02T10:00:00.25-0530": "2024-01-02 15:30:00.250000",
  "2024-01-02T10:00:00+02": "2024-01-02 08:00:00.000000",
  "2024-01-02 10:00:00 -5": "2024-01-02 15:00:00.000000",
  "2023-12-31T23:30:00-01:00": "2024-01-01 00:30:00.000000",
  "2024-03-01T00:30:00+01:00": "2024-02-29 23:30:00.000000",
  "2024-01-02 10:00:00 UTC": TEN,
  "2024-01-02T10:00:00z": TEN,
  "Tue, 02 Jan 2024 10:00:00 GMT": TEN,
  "2024-01-02 10:00:00 EST": "2024-01-02 15:00:00.000000",
  "20240702 09:30:00 US/Eastern": "2024-07-02 13:30:00.000000",
  "2024-01-02 09:30 America/New_York": "2024-01-02 14:30:00.000000",
  "2024-07-02 10:00:00 EDT": "2024-07-02 14:00:00.000000",
  "2024-01-02 10:00 PM PST": "2024-01-03 06:00:00.000000",
  // Less precise.
  "2024-01-02T10:00": TEN,
  "2024-01-02T10": TEN,
  "2024-01-02 10": TEN,
  "2024-04": "2024-04-01 00:00:00.000000",
  "2024": "2024-01-01 00:00:00.000000",
  // Other separators and no padding.
  "2024-1-2": MIDNIGHT,
  "2024/01/02": MIDNIGHT,
  "2024/1/2 9:05": "2024-01-02 09:05:00.000000",
  "2024.01.02": MIDNIGHT,
  " 2024-01-02  10:00:00 ": TEN,
  "2024-01-02T10:00:00,5": "2024-01-02 10:00:00.500000",
  "20240102": MIDNIGHT,
  "20240102T100000Z": TEN,
  "20240102T1000": TEN,
  "20240102 10:00:00.5": "2024-01-02 10:00:00.500000",
  "20240102-10:00:00": TEN,
  "20240102100000": TEN,
  "202401021000": TEN,
  // Month first, unless it can't be.
  "01/02/2024": MIDNIGHT,
  "1/2/24": MIDNIGHT,
  "1/2/69": "1969-01-02 00:00:00.000000",
  "13/04/2024": "2024-04-13 00:00:00.000000",
  "04-13-2024": "2024-04-13 00:00:00.000000",
  "1/2/2024, 10:00:00 AM": TEN,
  // Months by name, halves of a day.
  "Jan 2, 2024": MIDNIGHT,
  "January 2nd, 2024 at 10am": TEN,
  "2 Jan 2024": MIDNIGHT,
  "02-JAN-24": MIDNIGHT,
  "2024-Jan-02": MIDNIGHT,
  "Jan 2024": "2024-01-01 00:00:00.000000",
  "Sept. 5, 2024": "2024-09-05 00:00:00.000000",
  "Tuesday, January 2, 2024": MIDNIGHT,
  "Tue Jan  2 10:00:00 2024": TEN,
  "Tue Jan 2 10:00:00 EST 2024": "2024-01-02 15:00:00.000000",
  "2024-01-02 10:00 PM": "2024-01-02 22:00:00.000000",
  "2024-01-02 12:00 a.m.": MIDNIGHT,
  "2024-01-02 12:30pm": "2024-01-02 12:30:00.000000",
  "2024-01-02 8 PM": "2024-01-02 20:00:00.000000",
  // Ends of calendar and range.
  "2024-02-29": "2024-02-29 00:00:00.000000",
  "2000-02-29T23:59:59Z": "2000-02-29 23:59:59.000000",
  "1969-12-31T23:59:59.999999Z": "1969-12-31 23:59:59.999999",
  "1677-09-22": "1677-09-22 00:00:00.000000",
  "2262-04-11T23:47:16Z": "2262-04-11 23:47:16.000000",
  // Epochs as text.
  "1704189600": TEN,
  "1704189600.25": "2024-01-02 10:00:00.250000",
  "1704189600123": "2024-01-02 10:00:00.123000",
  "1704189600123456": "2024-01-02 10:00:00.123456",
  "1704189600123456789": "2024-01-02 10:00:00.123456",
  "1704189600999999999": "2024-01-02 10:00:00.999999",
  "-100000000000000001": "1966-10-31 14:13:19.999999",
};

for (const [text, expected] of Object.entries(READ)) {
  test(`reads ${JSON.stringify(text)}`, () => expect(parseTimestamp(text)).toBe(expected));
}

test("nothing, blank, NaT and NaN are no date", () => {
  for (const value of [null, undefined, "", "   ", "NaT", " nat ", "nan", "NaN", Number.NaN, Infinity]) {
    expect(parseTimestamp(value)).toBeNull();
    expect(parseCalendarDate(value)).toBeNull();
    expect(parseBound(value, "end", "second")).toBeNull();
  }
});

test("refuses what is no stamp, or no existing one", () => {
  for (const text of [
    "garbage",
    "None",
    "2024-02-30",
    "2023-02-29",
    "1900-02-29",
    "2024-13-01",
    "2024-00-01",
    "2024-01-00",
    "2024-01-02T24:00:00",
    "2024-01-02T23:59:60Z",
    "2024-01-02 10:60",
    "2024-01-02T10:00:00.12x4Z",
    "2024-01-02T10:00:00+25:00",
    "2024-01-02 13:00 PM",
    "2024-01-02T10:00:00[America/New_York]",
    "2024-01-02 10:00:00 CET",
    "2024-01-02 10:00:00 GMT+3",
    "2024-01-02 8",
    "2024-01-02Z",
    "2024-W14-1",
    "2024-092",
    "31/31/2024",
    "4/31/2024",
    "30 Feb 2024",
    "24-01-05",
    "99/01/02",
    "01.02.2024",
    "10:00",
    "Friday",
    "Jan 2",
    "12",
    "240102",
    "202404",
    "1e3",
    "2024-01-02T10:00:00Z and more",
    "x".repeat(1000),
  ]) {
    expect(() => parseTimestamp(text)).toThrow(TimestampError);
    expect(() => parseCalendarDate(text)).toThrow(TimestampError);
    expect(() => parseBound(text, "start", "instant")).toThrow(TimestampError);
  }
});

test("an error names the value and what was expected", () => {
  expect(() => parseTimestamp("foo")).toThrow(
    'cannot read "foo" as a timestamp: expected ISO 8601 such as 2024-01-02T10:00:00.123456Z, or an epoch number',
  );
  expect(() => parseTimestamp("2262-04-12T00:00:00Z")).toThrow(
    'cannot read "2262-04-12T00:00:00Z" as a timestamp: expected a date from 1677-09-22 to 2262-04-11',
  );
  expect(() => parseTimestamp(1)).toThrow(/^cannot read 1 as a timestamp: expected epoch seconds, /);
  expect(() => parseTimestamp([1])).toThrow("cannot read a list as");
  expect(() => parseTimestamp("x".repeat(100))).toThrow(`cannot read "${"x".repeat(60)}…" as`);
});

test("refuses what is outside of the range, also by its offset", () => {
  for (const text of [
    "1600-01-01",
    "9999-12-31",
    "0001-01-01",
    "1677-09-21",
    "1677-09-22T00:00:00+01:00",
    "2262-04-11T23:30:00-01:00",
  ]) {
    expect(() => parseTimestamp(text)).toThrow("expected a date from 1677-09-22 to 2262-04-11");
  }
});

test("refuses booleans, objects and lists", () => {
  for (const value of [true, false, {}, { a: 1 }, [], ["2024-01-02"]]) {
    expect(() => parseTimestamp(value)).toThrow(TimestampError);
    expect(() => parseCalendarDate(value)).toThrow(TimestampError);
    expect(() => parseBound(value, "start", "date")).toThrow(TimestampError);
  }
});

test("tells the unit of an epoch by its magnitude", () => {
  expect(parseTimestamp(1704189600)).toBe(TEN);
  expect(parseTimestamp(1704189600.5)).toBe("2024-01-02 10:00:00.500000");
  expect(parseTimestamp(1704189600.123456)).toBe("2024-01-02 10:00:00.123456");
  expect(parseTimestamp(Number("1704189599.9999998"))).toBe(TEN);
  expect(parseTimestamp(1704189600123)).toBe("2024-01-02 10:00:00.123000");
  expect(parseTimestamp(1704189600123.456)).toBe("2024-01-02 10:00:00.123456");
  expect(parseTimestamp(1704189600123456)).toBe("2024-01-02 10:00:00.123456");
  expect(parseTimestamp(1704189600123456800)).toBe("2024-01-02 10:00:00.123456");
  expect(parseTimestamp(1704189600123456789n)).toBe("2024-01-02 10:00:00.123456");
  expect(parseTimestamp(-1e8)).toBe("1966-10-31 14:13:20.000000");
  expect(parseTimestamp(-100000000.25)).toBe("1966-10-31 14:13:19.750000");
  expect(parseTimestamp(-100000000001)).toBe("1966-10-31 14:13:19.999000");
});

test("nanoseconds of a whole microsecond survive being a double", () => {
  for (let micros = 0; micros < 1_000_000; micros += 997) {
    const nanos = Number(1704189600000000000n + BigInt(micros) * 1000n);
    expect(parseTimestamp(nanos)).toBe(`2024-01-02 10:00:00.${String(micros).padStart(6, "0")}`);
  }
});

test("eight digits are a date where the calendar has it", () => {
  expect(parseTimestamp(20240102)).toBe(MIDNIGHT);
  expect(parseCalendarDate(21001231)).toBe("2100-12-31");
  for (const value of [20240230, 18991231, 21010101, 12345678, 20240102.5]) {
    expect(() => parseTimestamp(value)).toThrow("or a date such as 20240102");
  }
});

test("other magnitudes are refused", () => {
  for (const value of [0, 1, -1, 99_999_999, 1e19, -1e19, 2n ** 70n]) {
    expect(() => parseTimestamp(value)).toThrow("epoch seconds, milliseconds, microseconds or nanoseconds");
  }
});

test("now and today are now", () => {
  for (const word of ["now", "today", "NOW"]) {
    const before = nowText();
    const text = parseTimestamp(word)!;
    expect(text >= before && text <= nowText()).toBe(true);
  }
});

test("the two parsers agree on ISO texts", () => {
  for (let i = 0; i < 2_000; i += 1) {
    const ms = Date.UTC(1700, 0, 1) + Math.random() * (Date.UTC(2262, 0, 1) - Date.UTC(1700, 0, 1));
    const iso = new Date(ms).toISOString();
    const expected = `${iso.slice(0, 10)} ${iso.slice(11, 23)}000`;
    expect(parseTimestamp(iso)).toBe(expected);
    // A seconds' comma takes the general way.
    expect(parseTimestamp(iso.replace(".", ","))).toBe(expected);
    expect(toWire(expected)).toBe(`${iso.slice(0, 23)}000Z`);
    expect(parseTimestamp(toWire(expected))).toBe(expected);
  }
});

test("a daily bar keeps the date as it was written", () => {
  expect(parseCalendarDate("2024-04-01T23:30:00-05:00")).toBe("2024-04-01");
  expect(parseCalendarDate("2024-04-01T00:30:00+05:30")).toBe("2024-04-01");
  expect(parseCalendarDate("2024-04-01T15:30:00Z")).toBe("2024-04-01");
  expect(parseCalendarDate("2024-04-01")).toBe("2024-04-01");
  expect(parseCalendarDate("Apr 1, 2024 11:59 PM EST")).toBe("2024-04-01");
  expect(parseCalendarDate(1711929600000)).toBe("2024-04-01");
  expect(parseCalendarDate("2262-04-11T23:00:00-05:00")).toBe("2262-04-11");
});

test("an hourly stamp has no fraction", () => {
  expect(toHourly("2024-01-02 10:00:00.999999")).toBe("2024-01-02 10:00:00");
});

test("a date as a bound covers its day", () => {
  for (const date of ["2024-02-29", "02/29/2024", "20240229", 20240229]) {
    expect(parseBound(date, "start", "instant")).toBe("2024-02-29 00:00:00.000000");
    expect(parseBound(date, "end", "instant")).toBe("2024-02-29 23:59:59.999999");
    expect(parseBound(date, "start", "second")).toBe("2024-02-29 00:00:00");
    expect(parseBound(date, "end", "second")).toBe("2024-02-29 23:59:59");
    expect(parseBound(date, "start", "date")).toBe("2024-02-29");
    expect(parseBound(date, "end", "date")).toBe("2024-02-29");
  }
});

test("a month and a year as an end mean their ends", () => {
  expect(parseBound("2024-02", "end", "instant")).toBe("2024-02-29 23:59:59.999999");
  expect(parseBound("Dec 2023", "end", "date")).toBe("2023-12-31");
  expect(parseBound("2024", "end", "date")).toBe("2024-12-31");
  expect(parseBound("2024", "start", "date")).toBe("2024-01-01");
});

test("a time as a bound is an instant", () => {
  expect(parseBound("2024-01-02T10:00:00+02:00", "end", "instant")).toBe("2024-01-02 08:00:00.000000");
  expect(parseBound("2024-01-02 18", "start", "second")).toBe("2024-01-02 18:00:00");
  expect(parseBound("2024-01-02T00:00:00Z", "end", "second")).toBe("2024-01-02 00:00:00");
  expect(parseBound(1704189600123, "start", "instant")).toBe("2024-01-02 10:00:00.123000");
});

test("an hourly start within a second begins with the next", () => {
  expect(parseBound("2024-01-02T10:00:00.5", "start", "second")).toBe("2024-01-02 10:00:01");
  expect(parseBound("2023-12-31T23:59:59.000001Z", "start", "second")).toBe("2024-01-01 00:00:00");
  expect(parseBound("2024-01-02T10:00:00.5", "end", "second")).toBe("2024-01-02 10:00:00");
});

test("of a bound for daily bars only the date as written counts", () => {
  expect(parseBound("2024-01-12T00:00:00Z", "end", "date")).toBe("2024-01-12");
  expect(parseBound("2024-01-05T15:00:00Z", "start", "date")).toBe("2024-01-05");
  expect(parseBound("2024-01-05T22:00:00-05:00", "end", "date")).toBe("2024-01-05");
});

test("today as a bound is a date", () => {
  const before = nowText().slice(0, 10);
  const start = parseBound("today", "start", "instant")!;
  const end = parseBound("Today", "end", "instant")!;
  const after = nowText().slice(0, 10);
  expect([before, after].map((date) => `${date} 00:00:00.000000`)).toContain(start);
  expect([before, after].map((date) => `${date} 23:59:59.999999`)).toContain(end);
});

test("bounds may lie beyond what is stored", () => {
  expect(parseBound("9999-12-31", "end", "instant")).toBe("9999-12-31 23:59:59.999999");
  expect(parseBound("9999", "end", "date")).toBe("9999-12-31");
  expect(parseBound("9999-12-31T23:59:59-05:00", "end", "second")).toBe("9999-12-31 23:59:59");
  expect(parseBound("0001-01-01", "start", "date")).toBe("0001-01-01");
  expect(parseBound("1600-01-01", "start", "second")).toBe("1600-01-01 00:00:00");
});

test("the wire's form comes from every stored form", () => {
  expect(toWire("2024-01-02")).toBe("2024-01-02T00:00:00.000000Z");
  expect(toWire("2024-01-02 10:00:00")).toBe("2024-01-02T10:00:00.000000Z");
  expect(toWire("2024-01-02 10:00:00.5")).toBe("2024-01-02T10:00:00.500000Z");
  expect(toWire("2024-01-02 10:00:00.123456")).toBe("2024-01-02T10:00:00.123456Z");
  expect(toWire("2024-01-02 10:00:00.123456789")).toBe("2024-01-02T10:00:00.123456Z");
  expect(toWire("2024-01-02 10:00:00+00:00")).toBe("2024-01-02T10:00:00.000000Z");
  expect(toWire("2024-01-02 10:00:00.123456+00:00")).toBe("2024-01-02T10:00:00.123456Z");
  expect(toWire("2024-01-02T10:00:00.123456Z")).toBe("2024-01-02T10:00:00.123456Z");
  for (const text of ["", "garbage", "ten chars!", "nineteen characters"]) expect(toWire(text)).toBe(text);
});

test("now has microseconds and follows the wall clock", () => {
  for (let i = 0; i < 1_000; i += 1) {
    const before = Date.now();
    const text = nowText();
    const after = Date.now();
    expect(text).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/);
    const ms = Date.parse(`${text.slice(0, 10)}T${text.slice(11, 23)}Z`);
    expect(ms >= before && ms <= after).toBe(true);
  }
});
