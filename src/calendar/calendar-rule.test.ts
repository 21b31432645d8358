import { expect, test } from "bun:test";
import { parseCalendarRule, readCalendarRules, ruleOf } from "./calendar-rule.ts";
import { OpenHours } from "./open-hours.ts";

test("a rule is a calendar, with tickers before it and a session behind", () => {
  const read = (text: string) => {
    const rule = parseCalendarRule(text);
    return rule === null ? null : [rule.calendar, rule.session];
  };
  expect(read("XNYS")).toEqual(["XNYS", null]);
  expect(read("XNYS:extended")).toEqual(["XNYS", "extended"]);
  expect(read("ES=F=CME:09:30-16:00")).toEqual(["CME", "09:30-16:00"]);
  expect(read("BTC*=24/7")).toEqual(["24/7", null]);
  for (const wrong of ["", "=XNYS", "BTC*=", "XNYS:", "A=:extended"])
    expect([wrong, read(wrong)]).toEqual([wrong, null]);
});

test("the first rule that is for a ticker counts", () => {
  const rules = readCalendarRules(["BTC*=24/7", "*=F=CME", "*.L=XLON"]);
  expect(["BTC-USD", "ES=F", "VOD.L", "AAPL"].map((ticker) => ruleOf(rules, ticker))).toEqual([0, 1, 2, -1]);
});

test("an exchange is open in its sessions, and not in breaks, on holidays and at its close", () => {
  const openAt = (calendar: string, session: string | null, ...moments: string[]): boolean[] =>
    moments.map((moment) => new OpenHours({ calendar, session }).isOpen(Date.parse(moment)));
  const newYork = [
    "2026-07-08T13:29:59Z",
    "2026-07-08T13:30:00Z",
    "2026-07-08T19:59:59Z",
    "2026-07-08T20:00:00Z",
  ];
  expect(openAt("XNYS", null, ...newYork)).toEqual([false, true, true, false]);
  expect(openAt("XNYS", "extended", ...newYork)).toEqual([true, true, true, true]);
  expect(openAt("XNYS", null, "2026-12-25T15:00:00Z", "2026-11-27T18:30:00Z")).toEqual([false, false]);
  expect(openAt("XHKG", null, "2026-07-08T03:59:00Z", "2026-07-08T04:30:00Z")).toEqual([true, false]);
  // Sunday evening in Chicago.
  expect(openAt("CME", null, "2026-07-12T22:30:00Z", "2026-07-12T21:30:00Z")).toEqual([true, false]);
  expect(openAt("24/7", null, "2026-07-12T00:00:00Z", "2026-12-25T23:59:59.999Z")).toEqual([true, true]);
  expect(() => new OpenHours({ calendar: "NOWHERE", session: null })).toThrow("calendar");
});
