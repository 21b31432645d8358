/** Files as people have them: what becomes of their rows, and what is asked about them. */
import { expect, test } from "bun:test";
import { ImportFolder } from "../support/importing.ts";

const bars = (header: string, ...rows: string[]): string => `${[header, ...rows].join("\n")}\n`;
const OHLC = "Date,Open,High,Low,Close,Volume";
const dated = (...dates: string[]): string =>
  bars(OHLC, ...dates.map((date, i) => `${date},1,2,0.5,${i + 1},100`));

/** Imports a text, which must be stored; returns the dates of its bars. */
async function datesOf(text: string, ...args: string[]): Promise<unknown[]> {
  using folder = new ImportFolder();
  const { result } = await folder.importText(text, ["--ticker", "T", ...args]);
  expect(result.stoppedBy).toBeNull();
  return folder.daily().map(([date]) => date);
}

/** Imports a text, of which nothing may be stored; returns the question or reason. */
async function doubtOf(text: string, ...args: string[]): Promise<string> {
  using folder = new ImportFolder();
  const { result } = await folder.importText(
    text,
    args.includes("--ticker-from") ? args : ["--ticker", "T", ...args],
  );
  expect([result.rows, result.stored]).toEqual([0, 0]);
  return result.stoppedBy ?? "no doubt";
}

test("a file of many tickers stores each row under its own", async () => {
  const text = bars(
    "ticker,volume,open,close,high,low,date,transactions",
    "A,1000,10,11,12,9,2024-01-02,5",
    "AAPL,2000,180,181,182,179,2024-01-02,50",
    "ZTS,300,190,191,192,189,2024-01-02,7",
  );
  using folder = new ImportFolder();
  const { result } = await folder.importText(text, []);
  expect(result.stoppedBy).toBeNull();
  expect(folder.query("SELECT ticker, close FROM daily_prices ORDER BY ticker")).toEqual([
    ["A", 11],
    ["AAPL", 181],
    ["ZTS", 191],
  ]);
  expect(result.tickers.map(({ ticker, rows }) => [ticker, rows])).toEqual([
    ["A", 1],
    ["AAPL", 1],
    ["ZTS", 1],
  ]);
  const doubt = await doubtOf(text);
  for (const name of ["A", "AAPL", "ZTS", "--ticker-column none"]) expect(doubt).toContain(name);
});

test("a second ticker far down in the file is seen before the first row is stored", async () => {
  const rows = Array.from({ length: 3_000 }, (_, i) => {
    const date = new Date(Date.UTC(2010, 0, 1 + i)).toISOString().slice(0, 10);
    return `${date},1,2,0.5,1,100,A`;
  });
  const text = bars(`${OHLC},Symbol`, ...rows, "2024-01-02,1,2,0.5,1,100,B");
  expect(await doubtOf(text)).toContain("names A, B");
});

test("one ticker may be stored under another name, and a row of another one stops", async () => {
  const rows = ["2024-01-02,1,2,0.5,1,100,BTC/USD", "2024-01-03,1,2,0.5,1,100,BTC/USD"];
  expect(await datesOf(bars(`${OHLC},symbol`, ...rows))).toEqual(["2024-01-02", "2024-01-03"]);
  // The column agrees in the first rows, so that the file isn't read twice.
  using folder = new ImportFolder();
  const many = Array.from({ length: 1_200 }, (_, i) => {
    return `${new Date(Date.UTC(2010, 0, 1 + i)).toISOString().slice(0, 10)},1,2,0.5,1,100,T`;
  });
  const { result } = await folder.importText(bars(`${OHLC},symbol`, ...many, "2024-01-02,1,2,0.5,1,100,X"));
  expect(result.stoppedBy).toContain('names "X"');
  expect(folder.query("SELECT count(*), count(DISTINCT ticker) FROM daily_prices")).toEqual([[1_200, 1]]);
});

test("the column of the ticker can be named, or disregarded", async () => {
  const text = bars(
    `${OHLC},Security,Basket`,
    "2024-01-02,1,2,0.5,1,100,AA,X",
    "2024-01-02,1,2,0.5,1,100,AA,Y",
  );
  using folder = new ImportFolder();
  await folder.importText(text, ["--ticker-column", "Basket"]);
  expect(folder.query("SELECT ticker FROM daily_prices ORDER BY 1")).toEqual([["X"], ["Y"]]);
  await folder.importText(text, ["--ticker", "T", "--ticker-column", "none"]);
  expect(folder.query("SELECT count(*) FROM daily_prices WHERE ticker = 'T'")).toEqual([[1]]);
});

test("the names of files say whose rows they have", async () => {
  using folder = new ImportFolder();
  for (const name of ["in/daily-AA.csv", "in/daily-BB.x.csv"])
    folder.write(name, dated("2024-01-02", "2024-01-03"));
  const tickers = () => folder.query("SELECT DISTINCT ticker FROM daily_prices ORDER BY 1").flat();
  await folder.import([`${folder.path}/in`, "--ticker-from", "daily-{ticker}.csv"]);
  expect(tickers()).toEqual(["AA", "BB.x"]);
  await folder.import([`${folder.path}/in/*.csv`, "--ticker-from", "filename"]);
  expect(tickers()).toEqual(["AA", "BB.x", "daily-AA", "daily-BB.x"]);
  const { result } = await folder.import([`${folder.path}/in`, "--ticker-from", "x-{ticker}.csv"]);
  expect(result.stoppedBy).toContain("doesn't fit");
  expect((await folder.import([`${folder.path}/in`])).result.stoppedBy).toContain("--ticker-from filename");
});

test("the order of dates is that of the column, by its proofs", async () => {
  const days = ["2024-01-08", "2024-01-09", "2024-01-12", "2024-01-15"];
  for (const [separator, order] of [
    ["-", "dmy"],
    ["/", "dmy"],
    [".", "dmy"],
    ["/", "mdy"],
    ["-", "mdy"],
  ] as const) {
    for (const short of [false, true]) {
      const written = days.map((day) => {
        const [year = "", month, date] = day.split("-");
        const parts = order === "dmy" ? [date, month] : [month, date];
        return [...parts, short ? year.slice(2) : year].join(separator);
      });
      expect(await datesOf(dated(...written))).toEqual(days);
    }
  }
  expect(await datesOf(dated("24-01-08", "24-01-09", "24-01-15"))).toEqual([
    "2024-01-08",
    "2024-01-09",
    "2024-01-15",
  ]);
  expect(await datesOf(dated("99/12/30", "99/12/31"))).toEqual(["1999-12-30", "1999-12-31"]);
});

test("a proof may stand far down in the file, and a time behind the date", async () => {
  const early = Array.from({ length: 1_500 }, (_, i) => `${OHLC.length},${i}`).map(
    (_, i) => `0${1 + (i % 9)}/0${1 + (Math.floor(i / 9) % 9)}/${1900 + Math.floor(i / 81)}`,
  );
  const stored = await datesOf(dated(...early, "25/12/2023"));
  expect(stored).toContain("1900-02-01");
  expect(stored).toContain("2023-12-25");
  using folder = new ImportFolder();
  await folder.importText(
    bars("Date,Time,Open,High,Low,Close", "13/02/2024,9:30,1,2,0.5,1", "13/02/2024,10:30,1,2,0.5,2"),
  );
  expect(folder.hourly()).toEqual([
    ["2024-02-13 09:30:00", 1],
    ["2024-02-13 10:30:00", 2],
  ]);
});

test("dates that prove nothing, or two orders, are asked about", async () => {
  for (const text of [
    dated("08-01-2024", "09-01-2024"),
    dated("08/01/2024", "09/01/2024"),
    dated("08.01.2024", "09.01.2024"),
    dated("08/01/08", "09/01/09"),
  ]) {
    expect(await doubtOf(text)).toContain("--date-order dmy");
  }
  expect(await doubtOf(dated("15-01-2024", "01-16-2024"))).toMatch(
    /file\.csv.*15-01-2024.*01-16-2024|01-16-2024.*15-01-2024/,
  );
  expect(await datesOf(dated("08-01-2024", "09-01-2024"), "--date-order", "dmy")).toEqual([
    "2024-01-08",
    "2024-01-09",
  ]);
  expect(await datesOf(dated("08-01-2024", "09-01-2024"), "--date-order", "mdy")).toEqual([
    "2024-08-01",
    "2024-09-01",
  ]);
});

test("names of months need no order", async () => {
  const days = ["2024-01-02", "2024-01-03"];
  for (const written of [
    ["02-Jan-2024", "03-Jan-2024"],
    ["2 January 2024", "3 January 2024"],
    ['"Jan 2, 2024"', '"Jan 3, 2024"'],
    ["02-JAN-24", "03-JAN-24"],
    ["20240102", "20240103"],
    ["2024/01/02", "2024/01/03"],
    ["2024.01.02", "2024.01.03"],
    ["2024-01-02 00:00:00-05:00", "2024-01-03 00:00:00-05:00"],
  ]) {
    expect(await datesOf(dated(...written))).toEqual(days);
  }
});

test("one separator a file; decimal commas and thousands are read by what the file shows", async () => {
  for (const [text, volume] of [
    [
      "Date;Open;High;Low;Close;Volume;;;;\n2024-01-02;182,5;183,2;181,0;182,1;100;;;;\n2024-01-03;182,6;183,3;181,1;182,2;101;;;;\n",
      100,
    ],
    [
      "Date\tOpen\tHigh\tLow\tClose\tVolume\n2024-01-02\t182,5\t183,2\t181,0\t182,1\t1.234.567\n2024-01-03\t1.182,6\t183,3\t181,1\t182,2\t101\n",
      1_234_567,
    ],
    [
      'Date,Open,High,Low,Close,Volume\n2024-01-02,182.5,183.2,181.0,182.1,"1,234,567"\n2024-01-03,"1,182.6",183.3,181.1,182.2,101\n',
      1_234_567,
    ],
    [
      'Date,Open,High,Low,Close,Volume\n2024-01-02,"182,5","183,2","181,0","182,1","1.234"\n2024-01-03,"1.182,6","183,3","181,1","182,2",101\n',
      1_234,
    ],
    [
      "Date;Open;High;Low;Close;Volume\n2024-01-02;182,5;183,2;181,0;182,1;1 234 567\n2024-01-03;182,6;183,3;181,1;182,2;101\n",
      1_234_567,
    ],
    [
      "Date|Open|High|Low|Close|Volume\n2024-01-02|$182.5|$183.2|$181.0|$182.1|1.5M\n2024-01-03|182.6|183.3|181.1|182.2|2K\n",
      1_500_000,
    ],
  ] as const) {
    using folder = new ImportFolder();
    const { result } = await folder.importText(text);
    expect(result.stoppedBy).toBeNull();
    expect(folder.daily()[0]).toEqual(["2024-01-02", 182.5, 183.2, 181, 182.1, volume]);
  }
});

test("a point that may stand between thousands is asked about where commas don't separate", async () => {
  const text = "Datum;Eröffnung;Hoch;Tief;Schluss;Stücke\n2024-01-02;182;183;181;182;1.234\n";
  expect(await doubtOf(text)).toContain(
    "is the point in 1.234 a decimal point (--decimal point), or does it stand between thousands (--decimal comma)?",
  );
  using folder = new ImportFolder();
  await folder.importText(text, ["--ticker", "T", "--interval", "daily", "--decimal", "comma"]);
  expect(folder.daily()).toEqual([["2024-01-02", 182, 183, 181, 182, 1_234]]);
  for (const clear of [text.replace("1.234", "1.2340"), text.replaceAll(";", ",")]) {
    await folder.importText(clear);
    expect(folder.query("SELECT volume FROM daily_prices")).toEqual([[1.234]]);
  }
});

test("a comma that may be decimal or stand between thousands is asked about, contradictions too", async () => {
  const text =
    "Date;Open;High;Low;Close\n2024-01-02;1,182;1,183;1,181;1,182\n2024-01-03;1,182;1,183;1,181;1,182\n";
  expect(await doubtOf(text)).toContain("--decimal comma");
  for (const [mark, open] of [
    ["comma", 1.182],
    ["point", 1_182],
  ] as const) {
    using folder = new ImportFolder();
    await folder.importText(text, ["--ticker", "T", "--decimal", mark]);
    expect(folder.daily()[0]![1]).toBe(open);
  }
  expect(await doubtOf("Date;Open;High;Low;Close\n2024-01-02;1,5;2;1;1\n2024-01-03;1.5;2;1;1\n")).toContain(
    "contradict",
  );
  // Nothing in the first rows says what a comma is.
  using folder = new ImportFolder();
  const rows = Array.from({ length: 1_100 }, (_, i) => {
    return `${new Date(Date.UTC(2010, 0, 1 + i)).toISOString().slice(0, 10)};1;2;1;1`;
  });
  const late = await folder.importText(
    `Date;Open;High;Low;Close\n${rows.join("\n")}\n2024-01-03;1,234;2;1;1\n`,
  );
  expect(late.result.stoppedBy).toContain("--decimal");
});

test("open, high and low mean bars; the close may be called Last, Settle or Price", async () => {
  const last = bars(
    "Date,Open,High,Low,Last,Change,Settle,Volume,Previous Day Open Interest",
    "2018-01-02,60.20,60.74,60.10,60.37,0.05,60.37,488233,616534",
    "2018-01-03,60.39,61.97,60.28,61.61,1.26,61.63,752111,616534",
  );
  const price =
    '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"\n"01/03/2024","1.0921","1.0940","1.0965","1.0893","","-0.17%"\n"01/02/2024","1.0942","1.1038","1.1046","1.0938","","-0.87%"\n';
  const settle = bars("Date,Open,High,Low,Settle", "2018-01-02,1,2,0.5,1.5", "2018-01-03,1,2,0.5,1.5");
  for (const [text, rows] of [
    [
      last,
      [
        ["2018-01-02", 60.2, 60.74, 60.1, 60.37, 488_233],
        ["2018-01-03", 60.39, 61.97, 60.28, 61.61, 752_111],
      ],
    ],
    [
      price,
      [
        ["2024-01-02", 1.1038, 1.1046, 1.0938, 1.0942, null],
        ["2024-01-03", 1.094, 1.0965, 1.0893, 1.0921, null],
      ],
    ],
    [
      settle,
      [
        ["2018-01-02", 1, 2, 0.5, 1.5, null],
        ["2018-01-03", 1, 2, 0.5, 1.5, null],
      ],
    ],
  ] as const) {
    using folder = new ImportFolder();
    expect((await folder.importText(text)).result).toMatchObject({ kind: "daily", stoppedBy: null });
    expect(folder.daily()).toEqual(rows.map((row) => [...row]));
    expect(folder.ticks()).toEqual([]);
  }
  expect(await doubtOf(bars("Date,Open,High,Low,Adj Close", "2018-01-02,1,2,0.5,1.5"))).toContain(
    "--column close=NAME",
  );
  expect(
    await datesOf(
      bars("Date,Open,High,Low,Adj Close", "2018-01-02,1,2,0.5,1.5"),
      "--column",
      "close=Adj Close",
    ),
  ).toEqual(["2018-01-02"]);
});

test("daily bars are daily across the change of clocks", async () => {
  const row = (stamp: string): string => `${stamp},1,2,0.5,4,100`;
  for (const [before, after] of [
    ["06:00:00Z", "05:00:00Z"],
    ["05:00:00+00:00", "04:00:00+00:00"],
    ["16:00:00", "16:00:00"],
  ]) {
    const days = ["2024-03-07", "2024-03-08", "2024-03-09", "2024-03-10", "2024-03-11", "2024-03-12"];
    const stamps = days.map((day) => `${day}T${day < "2024-03-11" ? before : after}`);
    expect(await datesOf(bars("timestamp,open,high,low,close,volume", ...stamps.map(row)))).toEqual(days);
  }
});

test("stamps that no midnight in UTC is ask for the zone in which days begin", async () => {
  const text = bars(
    "timestamp,open,high,low,close,volume",
    "1704121200,1,2,0.5,1.5,100",
    "1704207600,1,2,0.5,1.6,100",
  );
  expect(await doubtOf(text)).toContain("--tz");
  expect(await datesOf(text, "--tz", "Asia/Tokyo")).toEqual(["2024-01-02", "2024-01-03"]);
  expect(await datesOf(text, "--tz", "UTC")).toEqual(["2024-01-01", "2024-01-02"]);
  const written = bars(
    "timestamp,open,high,low,close",
    "2024-01-01T15:00:00Z,1,2,0.5,1.5",
    "2024-01-02T15:00:00Z,1,2,0.5,1.6",
  );
  expect(await doubtOf(written)).toContain("--tz");
  expect(await datesOf(written, "--tz", "Asia/Tokyo")).toEqual(["2024-01-02", "2024-01-03"]);
  for (const unit of [1e3, 1e6, 1e9]) {
    const midnight = bars(
      "timestamp,open,high,low,close",
      `${1704153600 * unit},1,2,0.5,1`,
      `${1704240000 * unit},1,2,0.5,1`,
    );
    expect(await datesOf(midnight)).toEqual(["2024-01-02", "2024-01-03"]);
  }
});

test("weekly bars are weekly, monthly ones are asked about, sparse daily ones stay daily", async () => {
  using folder = new ImportFolder();
  expect((await folder.importText(dated("2024-01-01", "2024-01-08", "2024-01-15"))).result.kind).toBe(
    "1week",
  );
  expect(await doubtOf(dated("2024-01-01", "2024-02-01", "2024-03-01"))).toContain("month");
  expect(await datesOf(dated("2024-01-02", "2024-01-05", "2024-02-20"))).toHaveLength(3);
});

test("the unit of epochs is that of the column, also before 1973", async () => {
  const days = ["1971-12-31", "1972-12-30", "1973-12-30"];
  for (const unit of [1, 1e3, 1e6, 1e9]) {
    const text = bars(OHLC, ...[62985600, 94521600, 126057600].map((at) => `${at * unit},1,2,0.5,1,100`));
    expect(await datesOf(text)).toEqual(days);
  }
  expect(await datesOf(bars(OHLC, "-86400,1,2,0.5,1,100", "126057600,1,2,0.5,1,100"))).toEqual([
    "1969-12-31",
    "1973-12-30",
  ]);
  expect(await datesOf(bars(OHLC, "31536000,1,2,0.5,1,100", "31622400,1,2,0.5,1,100"))).toEqual([
    "1971-01-01",
    "1971-01-02",
  ]);
  expect(await datesOf(bars(OHLC, "86400,1,2,0.5,1,100", "172800,1,2,0.5,1,100"), "--epoch", "s")).toEqual([
    "1970-01-02",
    "1970-01-03",
  ]);
});

test("a date and a time in one number are no epoch", async () => {
  const stampsOf = async (first: string, second: string, ...args: string[]): Promise<unknown> => {
    using folder = new ImportFolder();
    const text = `timestamp,price,size\n${first},1,1\n${second},1,1\n`;
    const { result } = await folder.importText(text, ["--ticker", "T", ...args]);
    return result.stoppedBy ?? folder.ticks().map(([stamp]) => stamp);
  };
  const stamps = ["2024-07-02 10:00:00.123000", "2024-07-02 10:00:00.500000"];
  expect(await stampsOf("20240702100000123", "20240702100000500")).toEqual(stamps);
  expect(await stampsOf("20240702100000123000", "20240702100000500000")).toEqual(stamps);
  expect(await stampsOf("20240702100000.123", "20240702100000.5")).toEqual(stamps);
  expect(await stampsOf("20240702060000123", "20240702060000500", "--tz", "America/New_York")).toEqual(
    stamps,
  );
  // The year 2034 in seconds, where that is said.
  expect(await stampsOf("2024070210", "2024070211")).toEqual([
    "2024-07-02 10:00:00.000000",
    "2024-07-02 11:00:00.000000",
  ]);
  expect(await stampsOf("2024070210", "2024070211", "--epoch", "s")).toEqual([
    "2034-02-20 17:43:30.000000",
    "2034-02-20 17:43:31.000000",
  ]);
  const hours = ["2024070210", "2024070211", "2024070212"].map((stamp) => `${stamp},1,2,0.5,1,1\n`);
  using folder = new ImportFolder();
  const { result } = await folder.importText(`datetime,open,high,low,close,volume\n${hours.join("")}`);
  expect(result).toMatchObject({ stoppedBy: null, stored: 3, kind: "hourly" });
});

test("numbers that are no epochs, or of two units, are asked about", async () => {
  // Row numbers, and days as spreadsheets count them.
  expect(await doubtOf(bars(OHLC, "0,1,2,0.5,1,100", "1,1,2,0.5,1,100"))).toContain("--epoch");
  expect(await doubtOf(bars(OHLC, "45293,1,2,0.5,1,100", "45294,1,2,0.5,1,100"))).toContain("--epoch");
  expect(await doubtOf("timestamp,price,size\n1704205800123,1,1\n1735689600000123,1,1\n")).toContain(
    "--epoch",
  );
  expect(await doubtOf("timestamp,price,size\n1.7042E+12,1,1\n")).toContain("lost digits");
  using folder = new ImportFolder();
  const rows = Array.from({ length: 1_100 }, (_, i) => `${1735689600000000 + i},1,1`);
  const late = await folder.importText(`timestamp,price,size\n${rows.join("\n")}\n1704205800123,1,1\n`);
  expect(late.result.stoppedBy).toContain("milliseconds");
});

test("stamps without a zone are read in the one that --tz names", async () => {
  using folder = new ImportFolder();
  const text =
    "timestamp,price,size\n2024-01-02 09:30:00.5,1,1\n2024-07-02 09:30:00,2,1\n2024-07-02T13:30:01Z,3,1\n";
  await folder.importText(text, ["--ticker", "T", "--tz", "America/New_York"]);
  expect(folder.ticks()).toEqual([
    ["2024-01-02 14:30:00.500000", 1, 1],
    ["2024-07-02 13:30:00.000000", 2, 1],
    ["2024-07-02 13:30:01.000000", 3, 1],
  ]);
  expect(
    await doubtOf("timestamp,price,size\n2024-03-10 02:30:00,1,1\n", "--tz", "America/New_York"),
  ).toContain("put forward");
});

test("zones by name are read, as Interactive Brokers writes them", async () => {
  for (const zone of ["US/Eastern", "America/New_York"]) {
    using folder = new ImportFolder();
    const { result } = await folder.importText(
      bars(
        "date,open,high,low,close,volume",
        `20240102 09:30:00 ${zone},1,2,0.5,1.5,10`,
        `20240702 10:30:00 ${zone},1,2,0.5,1.6,10`,
      ),
      ["--ticker", "T", "--interval", "hourly"],
    );
    expect(result.stoppedBy).toBeNull();
    expect(folder.hourly()).toEqual([
      ["2024-01-02 14:30:00", 1.5],
      ["2024-07-02 14:30:00", 1.6],
    ]);
  }
});

test("the hour that clocks show twice is two hours, in rising and in falling files", async () => {
  const times = ["2024-11-03 00:00:00", "2024-11-03 01:00:00", "2024-11-03 01:00:00", "2024-11-03 02:00:00"];
  const utc = ["2024-11-03 04:00:00", "2024-11-03 05:00:00", "2024-11-03 06:00:00", "2024-11-03 07:00:00"];
  for (const order of ["rising", "falling"]) {
    using folder = new ImportFolder();
    const rows = times.map((time, i) => `${time},1,2,0.5,${i + 1},10`);
    if (order === "falling") rows.reverse();
    const { result } = await folder.importText(bars("datetime,open,high,low,close,volume", ...rows), [
      ...["--ticker", "T", "--tz", "America/New_York"],
    ]);
    expect(result).toMatchObject({ stoppedBy: null, duplicates: 0 });
    expect(folder.hourly()).toEqual(utc.map((at, i) => [at, i + 1]));
  }
});

test("two bars of one time are counted and named", async () => {
  using folder = new ImportFolder();
  const rows = ["00:00:00,1,1,1,1,10", "01:00:00,2,2,2,2,20", "01:00:00,3,3,3,3,30", "02:00:00,4,4,4,4,40"];
  const { result } = await folder.importText(
    bars("datetime,open,high,low,close,volume", ...rows.map((row) => `2024-11-03 ${row}`)),
  );
  expect(result).toMatchObject({ stoppedBy: null, rows: 4, duplicates: 1 });
  expect(result.duplicateBars[0]).toStartWith("T 2024-11-03 01:00:00 (");
  expect(result.duplicateBars[0]).toEndWith("file.csv:4)");
  expect(folder.hourly()[1]).toEqual(["2024-11-03 01:00:00", 3]);
});

test("volume is known by many names", async () => {
  for (const name of [
    ...["Vol", "Vol.", "tick_volume", "Total Volume", "Quantity", "Volume BTC", "Volume (BTC)", "TOTTRDQTY"],
    ...["Total Traded Quantity", "Shares Traded", "No. of Shares", "Trade Volume", "Volumen", "real_volume"],
  ]) {
    using folder = new ImportFolder();
    const text = bars(
      `date,open,high,low,close,${name}`,
      "2024-01-02,1,2,0.5,1.5,26.38",
      "2024-01-03,1,2,0.5,1.5,1",
    );
    const { result } = await folder.importText(text);
    expect([name, result.stoppedBy, folder.daily()[0]![5]]).toEqual([name, null, 26.38]);
  }
  const pair = bars(
    "date,symbol,open,high,low,close,Volume USD,Volume BTC",
    "2024-01-02,BTC/USD,1,2,0.5,1.5,99,26.38",
  );
  using folder = new ImportFolder();
  await folder.importText(pair, []);
  expect(folder.daily()[0]![5]).toBe(26.38);
});

test("what may be the volume and isn't known to be asks", async () => {
  for (const name of ["Volume of day", "Qty in lots", "Turnover"]) {
    const text = bars(`date,open,high,low,close,${name}`, "2024-01-02,1,2,0.5,1.5,26.38");
    const doubt = await doubtOf(text);
    expect(doubt).toContain(name);
    expect(doubt).toContain("--column volume=NAME");
    using folder = new ImportFolder();
    await folder.importText(text, ["--ticker", "T", "--column", `volume=${name}`]);
    expect(folder.daily()[0]![5]).toBe(26.38);
    expect(await datesOf(text, "--drop", name)).toEqual(["2024-01-02"]);
  }
});

test("a code among ticks is no ticker; volatility, and the volume of the last trade, are no doubt", async () => {
  using folder = new ImportFolder();
  const ticks = "timestamp,price,size,code\n2024-01-02T10:00:00Z,1,1,F\n2024-01-02T10:00:00Z,1,1,T\n";
  expect((await folder.importText(ticks)).result).toMatchObject({ stoppedBy: null, rows: 2 });
  expect((await folder.importText(ticks, [])).result.stoppedBy).toContain("--ticker T");
  const quotes =
    "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n2024.01.02\t00:00:00.123\t1.1\t1.2\t\t\t6\n";
  expect((await folder.importText(quotes)).result).toMatchObject({ stoppedBy: null, kind: "quote" });
  expect(
    await datesOf(bars("date,open,high,low,close,volatility", "2024-01-02,1,2,0.5,1.5,0.2")),
  ).toHaveLength(1);
});

test("bars of four hours stay so where a night is longer or shorter by an hour", async () => {
  using folder = new ImportFolder();
  const stamps = [
    "2024-03-08T14:00:00Z",
    "2024-03-08T18:00:00Z",
    "2024-03-11T13:00:00Z",
    "2024-03-11T17:00:00Z",
  ];
  const { result } = await folder.importText(
    bars("timestamp,open,high,low,close", ...stamps.map((stamp) => `${stamp},1,2,0.5,1`)),
  );
  expect(result).toMatchObject({ stoppedBy: null, kind: "4hour" });
});

test("prices of fixed point are known by the header, or asked about", async () => {
  const databento = bars(
    "ts_recv,timestamp,rtype,action,side,depth,price,size,flags,sequence,symbol",
    "1704205800000123456,1704205800000100000,0,T,A,0,185640000000,100,130,2964563,AAPL",
    "1704205800000123999,1704205800000200000,0,T,B,0,9223372036854775807,50,130,2964564,MSFT",
  );
  using folder = new ImportFolder();
  expect((await folder.importText(databento, [])).result.stoppedBy).toBeNull();
  expect(folder.ticks()).toEqual([
    ["2024-01-02 14:30:00.000100", 185.64, 100],
    ["2024-01-02 14:30:00.000200", null, 50],
  ]);
  const open = bars(
    "timestamp,open,high,low,close,volume",
    "2024-01-02T10:00:00Z,1856400,1857400,1855400,1857000,10",
    "2024-01-02T11:00:00Z,1856400,1857400,1855400,1857000,10",
  );
  expect(await doubtOf(open)).toContain("--scale");
  using scaled = new ImportFolder();
  await scaled.importText(open, ["--ticker", "T", "--scale", "0.0001"]);
  expect(scaled.query("SELECT open, high, low, close, volume FROM hourly_prices LIMIT 1")).toEqual([
    [185.64, 185.74, 185.54, 185.7, 10],
  ]);
  using whole = new ImportFolder();
  await whole.importText(open, ["--ticker", "T", "--scale", "1"]);
  expect(whole.hourly()[0]![1]).toBe(1_857_000);
});

test("integers keep every digit, and no price is 2 to the 63rd", async () => {
  using folder = new ImportFolder();
  await folder.importText(
    "timestamp,price,size\n2024-01-02T15:00:00Z,1,9007199254740993\n" +
      "2024-01-02T15:00:01Z,9223372036854775807,1\n2024-01-02T15:00:02Z,9.5,9223372036854775807\n",
  );
  expect(folder.query("SELECT CAST(size AS TEXT), price FROM realtime_data ORDER BY timestamp")).toEqual([
    ["9007199254740993", 1],
    ["1", null],
    ["9223372036854775807", 9.5],
  ]);
});

test("equal trades are all stored, whatever their sequence; a sequence of any size is read", async () => {
  using folder = new ImportFolder();
  const { result } = await folder.importText(
    "timestamp,price,size,sequence\n1704205800000100000,4780.25,1,777\n1704205800000100000,4780.25,1,777\n" +
      "1704205800000100000,4780.25,1,777\n1704205800000100000,4780.50,2,4294967290\n",
  );
  expect(result).toMatchObject({ stoppedBy: null, rows: 4 });
  expect(folder.ticks()).toHaveLength(4);
});

test("a header without rows, and an empty file, are no success", async () => {
  expect(await doubtOf(`${OHLC}\n`)).toContain("a header and no rows");
  expect(await doubtOf("")).toContain("is empty");
  using folder = new ImportFolder();
  const files = [
    folder.write("a.csv", dated("2024-01-02", "2024-01-03")),
    folder.write("b.csv", `${OHLC}\n`),
  ];
  expect((await folder.import([...files, "--ticker", "T"])).result).toMatchObject({ rows: 0 });
  const { result, plan } = await folder.import([...files, "--ticker", "T", "--skip-bad"]);
  expect(result).toMatchObject({ rows: 2, stoppedBy: null });
  expect(plan?.empty).toEqual([files[1]!]);
});

test("a file without a header says its columns by flag, and lines above it are left out", async () => {
  using folder = new ImportFolder();
  const rows = "2024-01-02,1,2,0.5,1.5,100,x\n2024-01-03,1,2,0.5,1.6,100,y\n";
  expect(await doubtOf(rows)).toContain("--no-header --columns");
  const { result } = await folder.importText(rows, [
    "--ticker",
    "T",
    "--no-header",
    "--columns",
    "date,open,high,low,close,volume,",
  ]);
  expect(result.stoppedBy).toBeNull();
  expect(folder.daily()).toHaveLength(2);
  const titled = `Report of today\nby me\n${dated("2024-01-02", "2024-01-03")}`;
  expect(await doubtOf(titled)).toContain("--skip-lines");
  expect(await datesOf(titled, "--skip-lines", "2")).toHaveLength(2);
});

test("any column can be named, and one that isn't there is told with those that are", async () => {
  using folder = new ImportFolder();
  const text = "when,px_last,n\n2024-01-02T10:00:00Z,1.5,7\n";
  const args = [
    "--ticker",
    "T",
    "--column",
    "timestamp=when",
    "--column",
    "price=px_last",
    "--column",
    "size=n",
  ];
  expect((await folder.importText(text, args)).result.stoppedBy).toBeNull();
  expect(folder.ticks()).toEqual([["2024-01-02 10:00:00.000000", 1.5, 7]]);
  expect(await doubtOf(text, "--column", "timestamp=wen")).toContain('"when", "px_last", "n"');
});

test("files and tickers have bars of their own length", async () => {
  const HEADER = "datetime,open,high,low,close,volume\n";
  const bars = (count: number, minutes: number, first = 540): string[] =>
    Array.from({ length: count }, (_, i) => {
      const stamp = new Date(Date.UTC(2024, 0, 1, 0, first + i * minutes)).toISOString();
      return `${stamp.slice(0, 16).replace("T", " ")},1,2,0.5,1,1\n`;
    });
  const kindOf = async (files: string[][], ...args: string[]): Promise<unknown> => {
    using folder = new ImportFolder();
    const paths = files.map((rows, i) => folder.write(`T${i}.csv`, HEADER + rows.join("")));
    const { result } = await folder.import([...paths, ...args]);
    return result.stoppedBy ?? result.kind;
  };
  const names = ["--ticker-from", "filename"];
  // Half an hour lies between the bars of two tickers, and not between those of one.
  expect(await kindOf([bars(7, 60), bars(7, 60, 570)], ...names)).toBe("hourly");
  expect(await kindOf([bars(300, 1), bars(7, 60)], ...names)).toContain(
    "the bars of T1 are hourly, and others 1min: import bars of each length apart, or pass --interval",
  );
  expect(await kindOf([bars(300, 1), bars(7, 60)], "--ticker", "T")).toContain("the bars of T are hourly");
  expect(await kindOf([bars(20, 60), bars(3, 1440, 0)], ...names)).toContain("of T1 are daily, and others");
  expect(await kindOf([bars(300, 1), bars(7, 60)], ...names, "--interval", "1min")).toBe("1min");
  expect(await kindOf([bars(30, 1440, 0), bars(8, 7 * 1440, 0)], ...names)).toContain("of T1 are 1week");
  // A ticker that is seldom traded.
  expect(await kindOf([bars(300, 1), [...bars(3, 7), ...bars(2, 4, 700)]], ...names)).toBe("1min");
});

test("a row with a time after a thousand at midnight is no daily bar", async () => {
  using folder = new ImportFolder();
  const HEADER = "symbol,datetime,open,high,low,close,volume\n";
  const atHour = (hour: string, tickers: number): string =>
    Array.from({ length: tickers }, (_, i) => `S${i},2024-01-02 ${hour}:00:00,1,2,0.5,1,1\n`).join("");
  const { result } = await folder.importText(HEADER + atHour("00", 1_001) + atHour("01", 2), []);
  expect(result.stoppedBy).toContain(
    'csv:1003: column "datetime": "2024-01-02 01:00:00" is not at midnight, and those before it are, which are daily bars by that: --interval says',
  );
  expect(folder.query("SELECT count(*) FROM daily_prices")).toEqual([[1_001]]);
  // MetaTrader 4 has the time in a column of its own.
  using apart = new ImportFolder();
  const days = Array.from({ length: 1_000 }, (_, i) =>
    new Date(Date.UTC(2020, 0, 1 + i)).toISOString().slice(0, 10).replaceAll("-", "."),
  );
  const mt4 = days.map((day) => `${day},00:00,1,2,0.5,1,9\n`).join("");
  const late = await apart.importText(`${mt4}2024.01.02,00:00,1,2,0.5,1,9\n2024.01.02,01:00,1,2,0.5,1,9\n`);
  expect(late.result.stoppedBy).toContain("csv:1002: ");
  expect(late.result.stored).toBe(1_001);
});
