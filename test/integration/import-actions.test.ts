/** Corporate actions in files of daily bars, as Yahoo and yfinance give them. */
import { expect, test } from "bun:test";
import { describePlan } from "../../src/cli/import/describe-plan.ts";
import { type Imported, ImportFolder } from "../support/importing.ts";
import {
  AAPL_ACTIONS as ACTIONS,
  actionsOf,
  AAPL_BARS as BARS,
  yahooFile,
  yfinanceFile,
} from "../support/yahoo-files.ts";

const T = ["--ticker", "AAPL"];
const lines = (...rows: string[]): string => `${rows.join("\n")}\n`;
const planOf = ({ plan }: Imported): string => describePlan(plan!).join("\n");
const stored = (folder: ImportFolder): unknown[] =>
  folder.query("SELECT ex_date, type, ratio, cash FROM corporate_actions ORDER BY ticker, ex_date, seq");

/** Bars in the digits that a file has where nothing is to be undone. */
function rounded(folder: ImportFolder): unknown[] {
  return folder
    .daily()
    .map(([date, ...values]) => [date, ...values.map((value) => Number((value as number).toFixed(6)))]);
}

test("Yahoo's rows of AAPL across its splits are stored as they were traded, with its actions", async () => {
  const expected = BARS.map(({ date, prices, volume }) => [date, ...prices, volume]);
  for (const [text, rule] of [
    [yahooFile(BARS, ACTIONS), "auto"],
    [yahooFile(BARS, ACTIONS), "split"],
    [yfinanceFile(BARS, ACTIONS), "all"],
  ] as const) {
    using folder = new ImportFolder();
    const imported = await folder.importText(text, [...T, "--actions", rule]);
    expect(imported.result.stoppedBy).toBeNull();
    expect(rounded(folder)).toEqual(expected);
    expect(stored(folder)).toEqual(actionsOf(ACTIONS));
    expect(imported.result.actions).toMatchObject({ rows: 34, stored: 34 });
    expect(planOf(imported)).toContain("actions: splits 2, dividends 32, of 1 ticker");
    const action = rule === "all" ? "split or dividend" : "split";
    expect(planOf(imported)).toContain(
      `doubt: rows end at 2021-03-31. If there was a ${action} since then, the prices are adjusted for it too`,
    );
    if (rule === "all") expect(imported.result.adjustedClose).toBeNull();
    else expect(imported.result.adjustedClose!.largest).toBeLessThan(1e-6);
    // Once more, from the last day to the first, and in two files.
    const [header, ...rows] = text.trim().split("\n");
    const [older, newer] = [rows.slice(0, 900), rows.slice(900)];
    folder.write("two/a.csv", lines(header!, ...newer.reverse()));
    folder.write("two/b.csv", lines(header!, ...older.reverse()));
    const again = await folder.import([`${folder.path}/two`, ...T, "--actions", rule]);
    expect(again.result).toMatchObject({ stoppedBy: null, stored: 0, actions: { stored: 0, rows: 34 } });
    expect(rounded(folder)).toEqual(expected);
    expect(stored(folder)).toEqual(actionsOf(ACTIONS));
  }
});

test("without the flag the columns are kept as extra, and the plan names the flag", async () => {
  using folder = new ImportFolder();
  const few = yahooFile(BARS.slice(0, 30), ACTIONS);
  const imported = await folder.importText(few, T);
  expect(planOf(imported)).toContain(
    'actions  not taken from "Dividends" and "Stock Splits", and prices stay as they are here: --actions auto takes them',
  );
  expect(stored(folder)).toEqual([]);
  expect(folder.query("SELECT extra ->> 'Dividends' FROM daily_prices WHERE date = '2013-05-09'")).toEqual([
    [3.05],
  ]);
  const alone = lines("Date,Open,High,Low,Close,Adj Close,Volume", "2024-01-02,1,2,1,1.5,1.4,10");
  expect(planOf(await folder.importText(alone, T))).toContain(
    '"Adj Close" alone tells none: --actions takes',
  );
  const { result } = await folder.importText(alone, [...T, "--actions", "auto"]);
  expect(result.stoppedBy).toContain('"Adj Close" alone doesn\'t tell what was paid or split');
});

const HEADER = "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits";
const row = (
  date: string,
  close: number,
  volume: number,
  dividend: number | string,
  split: number | string,
) => `${date},${close},${close},${close},${close},${volume},${dividend},${split}`;

test("what prices are adjusted for is asked, and is checked where splits and closes tell it", async () => {
  const doubt = async (text: string, rule: string): Promise<string | null> => {
    using folder = new ImportFolder();
    const { result } = await folder.importText(text, [...T, "--actions", rule]);
    expect(result.stoppedBy === null || result.stored === 0).toBe(true);
    expect(result.stoppedBy === null || stored(folder).length === 0).toBe(true);
    return result.stoppedBy;
  };
  const adjusted = lines(HEADER, row("2024-01-02", 10, 70, 0, 0), row("2024-01-03", 10.1, 70, 0.1, 7));
  expect(await doubt(adjusted, "auto")).toContain(
    "--actions all: for splits and dividends, as yfinance gives",
  );
  expect(await doubt(adjusted, "raw")).toContain(
    "so prices are adjusted for splits: expected --actions split",
  );
  expect(await doubt(adjusted, "split")).toBeNull();
  const raw = lines(HEADER, row("2024-01-02", 70, 10, 0, 0), row("2024-01-03", 10.1, 70, 0.1, 7));
  expect(await doubt(raw, "split")).toContain(
    "the close is 70 before the split of 7 on 2024-01-03 and 10.1 after it, so prices are not adjusted for splits: expected --actions raw",
  );
  expect(await doubt(raw, "raw")).toBeNull();
  const closes = (adjustedClose: number): string =>
    lines(
      "Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits",
      `2024-01-02,10,10,10,10,${adjustedClose},1,0,0`,
      "2024-01-03,10,10,10,10,10,1,1,0",
    );
  expect(await doubt(closes(9), "all")).toContain("so the prices are not adjusted for dividends: expected");
  expect(await doubt(closes(10), "split")).toContain("--actions all says the first");
  expect(await doubt(closes(9), "auto")).toBeNull();
  const twice = lines(HEADER, row("2024-01-03", 1, 1, 0.1, 0), row("2024-01-03", 1, 1, 0.2, 0));
  expect(await doubt(twice, "split")).toContain("one row says a dividend of 0.1");
  const hourly = lines(
    HEADER,
    row("2024-01-03T10:00:00", 1, 1, 0.1, 0),
    row("2024-01-03T11:00:00", 1, 1, 0, 0),
  );
  expect(await doubt(hourly, "split")).toContain("--actions is for daily bars, and these are hourly");
  const onlyDividends = lines("Date,Open,High,Low,Close,Dividends", "2024-01-02,1,1,1,1,0");
  expect(await doubt(onlyDividends, "split")).toContain('needs the columns "Dividends" and "Stock Splits"');
});

test("many tickers in one file, reverse splits, and ratios that lost digits", async () => {
  using folder = new ImportFolder();
  const text = lines(
    `${HEADER},Symbol`,
    ...[
      ["2024-01-02,30,33,27,30,101,0,0", "REV"],
      ["2024-01-02,2,2,2,2,3000000000,0,0", "FWD"],
      ["2024-01-03,30,30,30,30,200,0.3,0.033333", "REV"],
      ["2024-01-03,2,2,2,2,10,0,3:2", "FWD"],
      ["2024-01-04,30,30,30,30,200,,", "REV"],
      ["2024-01-04,2,2,2,2,10,0.5,0", "FWD"],
      ["2024-01-05,null,null,null,null,null,0.25,2.0", "FWD"],
      ["2024-01-06,2,2,2,2,10,0,0", "FWD"],
    ].map(([values, ticker]) => `${values},${ticker}`),
  );
  const { result } = await folder.importText(text, ["--actions", "split"]);
  expect(result).toMatchObject({ stoppedBy: null, stored: 8, actions: { rows: 6, stored: 6 } });
  expect(folder.query("SELECT ticker, date, high, close, volume FROM daily_prices ORDER BY 1, 2")).toEqual([
    ["FWD", "2024-01-02", 6, 6, 1_000_000_000],
    ["FWD", "2024-01-03", 4, 4, 5],
    ["FWD", "2024-01-04", 4, 4, 5],
    ["FWD", "2024-01-05", null, null, null],
    ["FWD", "2024-01-06", 2, 2, 10],
    ["REV", "2024-01-02", 1.1, 1, 3030],
    ["REV", "2024-01-03", 30, 30, 200],
    ["REV", "2024-01-04", 30, 30, 200],
  ]);
  expect(
    folder.query("SELECT ticker, ex_date, type, ratio, cash FROM corporate_actions ORDER BY 1, 2, seq"),
  ).toEqual([
    ["FWD", "2024-01-03", "split", 1.5, null],
    ["FWD", "2024-01-04", "dividend", null, 1],
    ["FWD", "2024-01-05", "split", 2, null],
    ["FWD", "2024-01-05", "dividend", null, 0.25],
    ["REV", "2024-01-03", "split", 1 / 30, null],
    ["REV", "2024-01-03", "dividend", null, 0.3],
  ]);
});

test("the plan says that more was paid after the end of a file, and a bad cell stops with its line", async () => {
  using folder = new ImportFolder();
  // The last days are left out, with a dividend among them.
  const [header, ...rows] = yahooFile(BARS, ACTIONS).trim().split("\n");
  const cut = lines(header!, ...rows.slice(0, 1_000));
  const { result, plan } = await folder.importText(cut, [...T, "--actions", "auto"]);
  expect(planOf({ result, plan })).toContain(
    'doubt: the last "Adj Close" of 1 of 1 ticker says that more was paid',
  );
  expect(result.adjustedClose!.largest).toBeLessThan(1e-5);
  const bad = lines(HEADER, row("2024-01-02", 1, 1, 0, 0), row("2024-01-03", 1, 1, "x", 0));
  const stopped = await folder.importText(bad, ["--ticker", "B", "--actions", "split"]);
  expect(stopped.result.stoppedBy).toContain('file.csv:3: column "Dividends": expected a number');
  const ratio = lines(HEADER, row("2024-01-02", 1, 1, 0, -2));
  const refused = await folder.importText(ratio, ["--ticker", "B", "--actions", "split"]);
  expect(refused.result.stoppedBy).toContain('column "Stock Splits": expected new shares for each old one');
});

test("capital gains are no action: they are said, and prices that are adjusted for them are refused", async () => {
  using folder = new ImportFolder();
  const text = lines(
    `${HEADER},Capital Gains`,
    "2024-01-02,10,10,10,10,1,0,0,0",
    "2024-01-03,10,10,10,10,1,0.5,0,0.25",
  );
  const { result } = await folder.importText(text, [...T, "--actions", "all"]);
  expect(result.stoppedBy).toContain(
    'AAPL 2024-01-03: "Capital Gains" is 0.25, and prices that are adjusted for it',
  );
  expect(result.stored).toBe(0);
  const imported = await folder.importText(text, [...T, "--actions", "split"]);
  expect(planOf(imported)).toContain('doubt: "Capital Gains" of 1 row are kept as extra');
  expect(stored(folder)).toEqual([["2024-01-03", "dividend", null, 0.5]]);
});

test("yfinance's three lines above the rows, with a split of each kind", async () => {
  using folder = new ImportFolder();
  const text = lines(
    "Price,Adj Close,Close,Dividends,High,Low,Open,Stock Splits,Volume",
    "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL",
    "Date,,,,,,,,",
    "2024-01-02,9.9,10,0.0,10,10,10,0.0,400",
    "2024-01-03,10,10,0.1,10,10,10,4.0,400",
  );
  const { result, plan } = await folder.importText(text, ["--actions", "auto"]);
  expect(result).toMatchObject({ stoppedBy: null, stored: 2, actions: { rows: 2 } });
  expect(plan?.files[0]?.layout.header.shape?.name).toBe("Yahoo");
  expect(folder.daily().map(([, open, , , close, volume]) => [open, close, volume])).toEqual([
    [40, 40, 100],
    [10, 10, 400],
  ]);
  expect(result.adjustedClose!.largest).toBeLessThan(1e-12);
});
