import { describe, expect, test } from "bun:test";
import { Calendar } from "./calendar.ts";
import { type CalendarFile, dayOf } from "./calendar-file.ts";
import { ALWAYS_OPEN, CALENDARS, findCalendar } from "./find-calendar.ts";
import { openSessions } from "./sessions.ts";

const MICROS_OF_MINUTE = 60_000_000;

/** The parts of a session in UTC, `MM-DD HH:MM`, as the exchange's calendar tells them. */
function partsOf(calendar: string, date: string, session = "regular", zone?: string): string[] | null {
  const found = openSessions({ calendar, session, zone }).on(dayOf(date));
  return found === null
    ? null
    : found.parts.map((micros) => new Date(micros / 1_000).toISOString().slice(5, 16).replace("T", " "));
}

async function fileOf(name: string): Promise<CalendarFile> {
  return Bun.file(new URL(`exchanges/${name}.json`, import.meta.url)).json();
}

const FILES = "XNYS XLON XTKS XHKG XETR XTSE XPAR XASX XSHG 24x7 CMES CME_GLOBEX_EQUITY".split(" ");

describe.each(FILES)("%s", (name) => {
  test("has as many sessions as its file tells, before corrections", async () => {
    const file = await fileOf(name);
    const calendar = new Calendar(file);
    let sessions = 0;
    for (let day = dayOf(file.span[0]!); day <= dayOf(file.span[1]!); day++)
      if (calendar.hours(day) !== null) sessions++;
    expect(sessions).toBe(file.sessions);
  });

  test("has sessions in order, without overlap, beyond its span too", async () => {
    const sessions = openSessions({ calendar: (await fileOf(name)).exchange });
    const instants: number[] = [];
    for (let day = dayOf("1985-01-01"); day <= dayOf("2035-01-01"); day++)
      instants.push(...(sessions.on(day)?.parts ?? []));
    const wrong = instants.filter((micros, index) => {
      const before = instants[index - 1] ?? Number.NEGATIVE_INFINITY;
      // A session may open as the one before closes.
      return micros % MICROS_OF_MINUTE !== 0 || (index % 2 === 0 ? micros < before : micros <= before);
    });
    expect(wrong).toEqual([]);
    expect(instants.length).toBeGreaterThan(20_000);
  });
});

test("New York: holidays, half days, days that closed for once, late opens", () => {
  expect(partsOf("XNYS", "2024-01-02")).toEqual(["01-02 14:30", "01-02 21:00"]);
  expect(partsOf("XNYS", "2024-07-02")).toEqual(["07-02 13:30", "07-02 20:00"]);
  expect(partsOf("XNYS", "2024-07-03")).toEqual(["07-03 13:30", "07-03 17:00"]);
  for (const date of ["2024-07-04", "2024-07-06", "2001-09-12", "2012-10-29", "2018-12-05", "2025-01-09"])
    expect([date, partsOf("XNYS", date)]).toEqual([date, null]);
  expect(partsOf("XNYS", "2001-09-17")).toEqual(["09-17 13:33", "09-17 20:00"]);
  expect(partsOf("XNYS", "1996-01-08")).toEqual(["01-08 16:00", "01-08 19:00"]);
  expect(partsOf("XNYS", "1997-10-27")).toEqual(["10-27 14:30", "10-27 20:30"]);
});

test("Tokyo and Hong Kong: breaks of their time, none on half days", () => {
  expect(partsOf("XTKS", "2010-06-01")).toEqual(["06-01 00:00", "06-01 02:00", "06-01 03:30", "06-01 06:00"]);
  expect(partsOf("XTKS", "2024-11-05")).toEqual(["11-05 00:00", "11-05 02:30", "11-05 03:30", "11-05 06:30"]);
  expect(partsOf("XTKS", "2008-12-30")).toEqual(["12-30 00:00", "12-30 02:00"]);
  expect(partsOf("XTKS", "1998-05-06")).not.toBeNull();
  expect(partsOf("XHKG", "2011-03-04")).toEqual(["03-04 02:00", "03-04 04:30", "03-04 06:30", "03-04 08:00"]);
  expect(partsOf("XHKG", "2011-03-07")).toEqual(["03-07 01:30", "03-07 04:00", "03-07 05:30", "03-07 08:00"]);
  expect(partsOf("XHKG", "2024-12-24")).toEqual(["12-24 01:30", "12-24 04:00"]);
  expect(partsOf("XHKG", "2020-08-19")).toEqual(["08-19 05:30", "08-19 08:00"]);
  expect(partsOf("XHKG", "2023-09-01")).toBeNull();
});

test("hours that are corrected hold from their date on, those before stay", () => {
  expect(partsOf("XETR", "1999-06-01")).toEqual(["06-01 07:00", "06-01 15:30"]);
  expect(partsOf("XETR", "2003-10-31")).toEqual(["10-31 08:00", "10-31 19:00"]);
  expect(partsOf("XETR", "2003-11-03")).toEqual(["11-03 08:00", "11-03 16:30"]);
});

test("a future's Monday opens on Sunday evening", () => {
  expect(partsOf("CME", "2024-07-01")).toEqual(["06-30 22:00", "07-01 21:00"]);
  expect(partsOf("CME", "2024-07-04")).toEqual(["07-03 22:00", "07-04 17:00"]);
  expect(partsOf("CME", "2024-12-25")).toBeNull();
});

test("extended hours are known of New York, and end early on half days", () => {
  expect(partsOf("XNYS", "2024-07-02", "extended")).toEqual(["07-02 08:00", "07-03 00:00"]);
  expect(partsOf("XNYS", "2024-07-03", "extended")).toEqual(["07-03 08:00", "07-03 21:00"]);
  expect(partsOf("XNYS", "1997-10-27", "extended")).toEqual(["10-27 09:00", "10-28 01:00"]);
  expect(partsOf("XLON", "2024-07-02", "extended")).toEqual(partsOf("XLON", "2024-07-02")!);
});

test("hours that are asked for are local, may pass midnight, and follow the exchange's dates", () => {
  expect(partsOf("XNYS", "2024-07-02", "10:00-11:30")).toEqual(["07-02 14:00", "07-02 15:30"]);
  expect(partsOf("XNYS", "2024-07-02", "10:00-11:30", "UTC")).toEqual(["07-02 10:00", "07-02 11:30"]);
  expect(partsOf("XNYS", "2024-07-02", "18:00-02:00")).toEqual(["07-02 22:00", "07-03 06:00"]);
  expect(partsOf("XNYS", "2024-07-04", "18:00-02:00")).toBeNull();
  expect(partsOf("CME", "2024-07-01", "18:00-02:00")).toEqual(["06-30 23:00", "07-01 07:00"]);
  expect(partsOf("CME", "2024-07-01", "18:00-20:00")).toEqual(["06-30 23:00", "07-01 01:00"]);
  expect(partsOf("CME", "2024-07-01", "08:30-15:00")).toEqual(["07-01 13:30", "07-01 20:00"]);
  expect(partsOf("24/7", "2024-07-06", "20:00-24:00", "Asia/Tokyo")).toEqual(["07-06 11:00", "07-06 15:00"]);
  expect(partsOf("24/7", "2024-07-06", "09:00-09:00")).toEqual(["07-06 09:00", "07-07 09:00"]);
});

test("beyond its span a calendar goes on without holidays, and says so", () => {
  const shanghai = findCalendar("SSE");
  expect(partsOf("SSE", "2030-01-01")).toHaveLength(4);
  expect(partsOf("SSE", "2030-01-05")).toBeNull();
  expect(partsOf("XTKS", "1980-01-01")).toEqual(["01-01 00:00", "01-01 02:00", "01-01 03:30", "01-01 06:00"]);
  expect(shanghai.doubt(dayOf("2020-01-01"), dayOf("2026-12-31"))).toBeNull();
  expect(shanghai.doubt(dayOf("2020-01-01"), dayOf("2027-01-01"))).toBe(
    "calendar XSHG: days before 1990-12-03 and after 2026-12-31 are assumed: weekdays, no holidays, regular hours",
  );
  expect(findCalendar("LSE").doubt(dayOf("1995-01-01"), dayOf("2020-01-01"))).toBe(
    "calendar XLON: hours before 1999-09-20 are not known for certain",
  );
  expect(findCalendar(ALWAYS_OPEN).doubt(dayOf("1800-01-01"), dayOf("2200-01-01"))).toBeNull();
});

test("a calendar is found by its MIC and by what people call it", () => {
  for (const [name, exchange] of Object.entries({
    xnys: "XNYS",
    NASDAQ: "XNYS",
    Nyse: "XNYS",
    "euronext paris": "XPAR",
    "Hong Kong": "XHKG",
    TSE: "XTKS",
    TSX: "XTSE",
    CME: "CME_GLOBEX_EQUITY",
    cme_globex_equity: "CME_GLOBEX_EQUITY",
    cmes: "CMES",
    "24x7": "24/7",
    Crypto: "24/7",
  }))
    expect([name, findCalendar(name).name]).toEqual([name, exchange]);
  expect(() => findCalendar("XXXX")).toThrow('calendar: got "XXXX", expected one of XNYS (NYSE), XLON (LSE)');
  expect(() => findCalendar("__proto__", "exchange")).toThrow('exchange: got "__proto__"');
});

test("the page lists the calendars, their names, zones and spans", async () => {
  const page = await Bun.file(new URL("../../docs/calendars.md", import.meta.url)).text();
  const rows = [...page.matchAll(/^\| `([^`]+)` \| (.*?) \| (\S+) \| (\S+) to (\S+) \|/gm)];
  expect(rows.map((row) => row.slice(1, 6))).toEqual(
    CALENDARS.map(([file, ...names]) => [file.exchange, names.join(", "), file.timeZone, ...file.span]),
  );
});

test("regular and extended hours need a calendar, as nothing else tells them", () => {
  for (const session of ["regular", "extended"]) {
    expect(() => openSessions({ zone: null, calendar: null, session })).toThrow(
      `session: got "${session}", expected a calendar beside it`,
    );
    for (const calendar of ["XNYS", "24/7"])
      expect(openSessions({ zone: null, calendar, session }).on(19_724)).not.toBeNull();
  }
  expect(openSessions({ zone: null, calendar: null, session: "09:30-16:00" }).on(19_724)).not.toBeNull();
});
