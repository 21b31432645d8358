import { expect, test } from "bun:test";
import {
  type ColumnPlan,
  CsvError,
  type CsvKind,
  plainRules,
  planColumns,
  readRecord,
  type SourceField,
} from "./csv.ts";

const BARS = ["date", "open", "high", "low", "close", "volume"];

function readPlanned(plan: ColumnPlan, fields: SourceField[]) {
  return readRecord(plan, fields, plainRules(plan.kind));
}

function read(header: string, kind: CsvKind, row: string) {
  return readPlanned(planColumns(header.split(","), kind), row.split(","));
}

test("reads daily bars, however the header is written", () => {
  const bar = { date: "1998-01-02", open: 13.63, high: 16.25, low: 13.5, close: 16.25, volume: 6315000 };
  const row = "1998-01-02,13.63,16.25,13.5,16.25,6315000";
  for (const header of [
    "date,open,high,low,close,volume",
    "\uFEFFDate,Open,High,Low,Close,Volume",
    '"DATE", "OPEN" ,HIGH,LOW,Close*,Vol.',
    "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
    "Timestamp,o,h,l,c,v",
  ]) {
    expect(read(header, "daily", row)).toEqual(bar);
  }
});

test("an adjusted close is not the close", () => {
  const header = ["Date", "Open", "High", "Low", "Adj Close", "Close", "Volume"];
  const plan = planColumns(header, "daily");
  expect(readPlanned(plan, ["2024-01-02", "1", "2", "0.5", "9.9", "1.5", "10"]).close).toBe(1.5);
  expect(plan.extras.map(({ column }) => column)).toEqual(["Adj Close"]);
  expect(() =>
    planColumns(
      header.filter((name) => name !== "Close"),
      "daily",
    ),
  ).toThrow(
    'no column "close", which daily data needs: the header has "Date", "Open", "High", "Low", "Adj Close", "Volume"',
  );
});

test("volume may be absent, a price may not", () => {
  expect(read("date,open,high,low,close", "daily", "2024-01-02,1,2,0.5,1.5")).not.toHaveProperty("volume");
  expect(() => planColumns(["open", "high", "low", "close"], "hourly")).toThrow('no column "datetime"');
  expect(() => planColumns([], "trade")).toThrow("the header has nothing");
});

test("reads hourly bars, and a date and a time that stand apart", () => {
  const header = "datetime,open,high,low,close,volume";
  expect(read(header, "hourly", "1998-01-02T14:00:00Z,1,2,0.5,1.5,10").datetime).toBe("1998-01-02 14:00:00");
  const apart = "Date,Time,Open,High,Low,Close";
  expect(read(apart, "hourly", "01/02/2024,9:30,1,2,0.5,1.5").datetime).toBe("2024-01-02 09:30:00");
  expect(read(apart, "hourly", "20240102,093000,1,2,0.5,1.5").datetime).toBe("2024-01-02 09:30:00");
  expect(read(apart, "daily", "2024-01-02,9:30,1,2,0.5,1.5").date).toBe("2024-01-02");
  expect(read("time,open,high,low,close", "hourly", "1704189600,1,2,0.5,1.5").datetime).toBe(
    "2024-01-02 10:00:00",
  );
});

test("reads quotes: the price is the bid", () => {
  const row = "2013-10-08T08:00:00.640000Z,180.01,200,182.62,100";
  const quote = {
    timestamp: "2013-10-08 08:00:00.640000",
    price: 180.01,
    size: 200,
    ask_price: 182.62,
    ask_size: 100,
  };
  for (const header of [
    "timestamp,price,size,ask_price,ask_size",
    "Timestamp,Bid Price,Bid Size,Ask Price,Ask Size",
    "ts,bid,bidsize,ask,asksize",
  ]) {
    expect(read(header, "quote", row)).toEqual(quote);
  }
  expect(read("timestamp,last,price,bid", "quote", "2024-01-02,1,2,3").price).toBe(3);
});

test("reads trades, with their own id if they have one; a sequence is an extra", () => {
  expect(read("timestamp,price,size", "trade", "2013-10-08T12:47:49.457000Z,182.1,300")).toEqual({
    timestamp: "2013-10-08 12:47:49.457000",
    price: 182.1,
    size: 300,
  });
  for (const name of ["id", "trade_id", "tradeID", "i", "agg_trade_id"])
    expect(read(`timestamp,${name},last,qty`, "trade", "2024-01-02,0042,1e1,1").id).toBe("0042");
  expect(read("timestamp,id,last,qty", "trade", "2024-01-02,,1,1")).not.toHaveProperty("id");
  expect(read("timestamp,sequence,last,qty", "trade", "2024-01-02,7,1e1,1").extra).toEqual({
    sequence: 7,
  });
});

test("other columns go along as they are, numbers where that keeps every digit", () => {
  const record = read(
    "date,open,high,low,close,Adj Close,note,zip,big,none",
    "daily",
    "2024-01-02,1,2,0.5,1.5,1.25,a b,007,12345678901234567890,",
  );
  expect(record).toEqual({
    date: "2024-01-02",
    open: 1,
    high: 2,
    low: 0.5,
    close: 1.5,
    extra: { "Adj Close": 1.25, note: "a b", zip: "007", big: "12345678901234567890" },
  });
});

test("blank and not-a-number are null, anything else that is no number is refused", () => {
  const plan = planColumns(BARS, "daily");
  expect(readPlanned(plan, ["2024-01-02", "", " NaN ", "null", "N/A", "+1.5e3"])).toEqual({
    date: "2024-01-02",
    open: null,
    high: null,
    low: null,
    close: null,
    volume: 1500,
  });
  for (const wrong of ["abc", "1;5", "$", "0x10", "1e999", "Infinity", "1 2", "."]) {
    expect(() => readPlanned(plan, ["2024-01-02", "1", "1", "1", wrong, "1"])).toThrow(
      new CsvError(`column "close": expected a number such as 182.5 or 1e6, got ${JSON.stringify(wrong)}`),
    );
  }
});

test("a row needs a readable stamp", () => {
  const plan = planColumns(BARS, "daily");
  const row = (stamp: string) => () => readPlanned(plan, [stamp, "1", "1", "1", "1", "1"]);
  expect(row("2024-02-30")).toThrow(/^column "date": cannot read "2024-02-30" as a timestamp: expected /);
  expect(row(" ")).toThrow('column "date": expected a date, got ""');
});

test("a row has as many fields as the header", () => {
  const plan = planColumns(BARS, "daily");
  expect(() => readPlanned(plan, ["2024-01-02", "1", "2"])).toThrow(
    "expected 6 fields as in the header, got 3",
  );
  expect(() => readPlanned(plan, ["2024-01-02", "1", "2", "3", "4", "5", "6"])).toThrow("got 7");
  expect(readPlanned(plan, ["2024-01-02", "1", "2", "3", "4", "5", " "]).volume).toBe(5);
});

test("a column that is there twice is refused only if it is needed", () => {
  expect(() => planColumns([...BARS, "Close "], "daily")).toThrow(
    'columns "close" and "Close " may both be the close: --column close=Close  takes that one,',
  );
  const plan = planColumns([...BARS, "note", "Note", "note", "", ""], "daily");
  expect(plan.extras.map(({ name }) => name)).toEqual(["note", "Note", "note_2"]);
  expect(plan.leftOut).toEqual(["", ""]);
});
