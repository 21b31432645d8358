/** Files of options, financial figures and corporate actions. */
import { expect, test } from "bun:test";
import { describePlan } from "../../src/cli/import/describe-plan.ts";
import { ImportFolder } from "../support/importing.ts";

const lines = (...rows: string[]): string => `${rows.join("\n")}\n`;

test("chains of options by the names that their save knows", async () => {
  using folder = new ImportFolder();
  const text = lines(
    "Timestamp,Underlying,Option Ticker,Expiration,Strike,Type,Bid,Ask,Implied Volatility,Open Interest,Venue",
    "2024-01-02T15:00:00Z,AAPL,O:AAPL240119C00190000,2024-01-19,190,call,1.5,1.6,0.25,9007199254740993,X",
    "2024-01-02T15:00:00Z,SPY,O:SPY240119P00470000,2024-01-19,470,P,,N/A,0.12,7,X",
    "2024-01-02T15:00:00Z,SPY,O:SPY240119P00470000,2024-01-19,470,P,2,3,0.12,7,X",
  );
  const args = ["--type", "options", "--ticker-column", "Underlying"];
  const { result, plan } = await folder.importText(text, args);
  expect(result).toMatchObject({ stoppedBy: null, kind: "options", rows: 3, stored: 2, replaced: 1 });
  expect(describePlan(plan!).join("\n")).toContain('left out "Venue"');
  expect(
    folder.query(
      "SELECT ticker, option_ticker, strike_price, option_type, bid, CAST(open_interest AS TEXT) FROM options_data ORDER BY 1",
    ),
  ).toEqual([
    ["AAPL", "O:AAPL240119C00190000", 190, "call", 1.5, "9007199254740993"],
    ["SPY", "O:SPY240119P00470000", 470, "put", 2, "7"],
  ]);
  const again = await folder.importText(text, [...args, "--on-duplicate", "error"]);
  expect(again.result.stoppedBy).toContain(
    "--on-duplicate error is not for option snapshots: expected replace",
  );
});

test("financial figures and corporate actions, by their names", async () => {
  using folder = new ImportFolder();
  const figures = lines(
    "date,price,market_cap,current,week_52_high",
    "2024-01-02,185.6,2900000000000,1.07,199.6",
  );
  expect(
    (await folder.importText(figures, ["--ticker", "AAPL", "--type", "financial"])).result,
  ).toMatchObject({
    stoppedBy: null,
    stored: 1,
  });
  expect(folder.query("SELECT date, market_cap, current_ratio FROM financial_info")).toEqual([
    ["2024-01-02", 2_900_000_000_000, 1.07],
  ]);
  const actions = lines(
    "ticker,ex_date,type,ratio,cash,new_ticker",
    "AAPL,2014-06-09,split,7:1,,",
    "AAPL,2014-08-07,dividend,,0.47,",
    "FB,2022-06-09,symbol_change,,,META",
  );
  const { result } = await folder.importText(actions, ["--type", "actions"]);
  expect(result).toMatchObject({ stoppedBy: null, kind: "actions", stored: 3 });
  expect(result.tickers.map(({ ticker, rows }) => [ticker, rows])).toEqual([
    ["AAPL", 2],
    ["FB", 1],
  ]);
  expect(
    folder.query("SELECT ticker, type, ratio, cash, new_ticker FROM corporate_actions ORDER BY ex_date"),
  ).toEqual([
    ["AAPL", "split", 7, null, null],
    ["AAPL", "dividend", null, 0.47, null],
    ["FB", "symbol_change", null, null, "META"],
  ]);
});

test("what such a file lacks is said, with its line", async () => {
  using folder = new ImportFolder();
  const stopped = async (text: string, ...args: string[]): Promise<string | null> => {
    const { result } = await folder.importText(text, args);
    expect(result.stored).toBe(0);
    return result.stoppedBy;
  };
  const header = "ex_date,type,ratio,cash";
  const actions = ["--type", "actions"];
  expect(await stopped(lines(header, "2014-06-09,split,7,"), ...actions)).toContain("whose rows are these?");
  expect(await stopped(lines("type,ratio", "split,7"), ...actions, "--ticker", "T")).toContain(
    'no column "ex_date"',
  );
  expect(await stopped(lines(header, "2014-06-09,split,x,"), ...actions, "--ticker", "T")).toContain(
    'file.csv:2: column "ratio": expected a number',
  );
  expect(await stopped(lines(header, ",split,7,"), ...actions, "--ticker", "T")).toContain(
    'file.csv:2: column "ex_date": expected a date or time, got nothing',
  );
  expect(await stopped(lines(header, "2014-06-09,merger,7,"), ...actions, "--ticker", "T")).toContain(
    'file.csv:2: data[0].type: got "merger", expected "split"',
  );
  expect(
    await stopped(lines("timestamp,bid", "2024-01-02,1"), "--type", "options", "--ticker", "T"),
  ).toContain("Missing required columns");
});
