/** What an import says of files that hide something: nothing is lost or taken unsaid. */
import { expect, test } from "bun:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { describePlan } from "../../src/cli/import/describe-plan.ts";
import { parseImportOptions } from "../../src/cli/import/options.ts";
import { type Imported, ImportFolder } from "../support/importing.ts";

const lines = (...rows: string[]): string => `${rows.join("\n")}\n`;
const planOf = ({ plan }: Imported): string => describePlan(plan!).join("\n");

test("stamps with and without a zone in one column: --tz says that of the others", async () => {
  using folder = new ImportFolder();
  const header = "timestamp,price,size";
  const mixed = lines(header, "2024-01-02T10:00:00Z,1,1", "2024-01-02 10:00:01,1,1");
  const { result } = await folder.importText(mixed);
  expect(result.stored).toBe(0);
  expect(result.stoppedBy).toEndWith(
    "file.csv:3) doesn't: --tz names the zone of those that say none, such as --tz UTC",
  );
  await folder.importText(mixed, ["--ticker", "T", "--tz", "America/New_York"]);
  expect(folder.ticks().map(([stamp]) => stamp)).toEqual([
    "2024-01-02 10:00:00.000000",
    "2024-01-02 15:00:01.000000",
  ]);
  // Far down, where the first rows don't show it.
  for (const [most, odd] of [
    ["Z", ""],
    ["", "-05:00"],
  ]) {
    using late = new ImportFolder();
    const many = Array.from({ length: 1_100 }, (_, i) => {
      const stamp = new Date(Date.UTC(2024, 0, 2) + i * 1_000).toISOString().slice(0, 19);
      return `${stamp}${most},1,${i}`;
    });
    const stopped = (await late.importText(lines(header, ...many, `2024-01-03T10:00:00${odd},1,1`))).result;
    expect(stopped.stoppedBy).toContain("file.csv:1102: ");
    expect(stopped.stoppedBy).toContain("--tz names the zone");
    expect(stopped.stored).toBe(1_100);
  }
});

test("columns of one name are told apart by their number", async () => {
  const text = lines(
    "Date,Open,High,Low,Close,Close,Close,Volume",
    "2024-01-02,1,2,0.5,1,3,4,10",
    "2024-01-03,1,2,0.5,1.5,3.5,4.5,10",
  );
  const closes = async (...args: string[]): Promise<unknown> => {
    using folder = new ImportFolder();
    const { result } = await folder.importText(text, ["--ticker", "T", ...args]);
    return result.stoppedBy ?? folder.query("SELECT close, extra FROM daily_prices LIMIT 1");
  };
  expect(await closes()).toContain(
    'columns "Close.1", "Close.2" and "Close.3" may both be the close: --column close=Close.3 takes that one, --drop Close.3 leaves it out',
  );
  expect(await closes("--column", "close=Close")).toContain('"Close.1" is the first of them');
  expect(await closes("--column", "close=Close.2")).toEqual([[3, '{"Close":1,"Close_2":4}']]);
  expect(await closes("--drop", "Close.1", "--drop", "Close.2")).toEqual([[4, null]]);
  expect(await closes("--drop", "Close.1")).toContain('columns "Close.2" and "Close.3" may both be');
  using folder = new ImportFolder();
  const tickers = lines("symbol,date,open,high,low,close,symbol", "A,2024-01-02,1,2,0.5,1,B");
  expect((await folder.importText(tickers, [])).result.stoppedBy).toContain("--ticker-column symbol.2 takes");
  await folder.importText(tickers, ["--ticker-column", "symbol.2"]);
  expect(folder.query("SELECT ticker, extra FROM daily_prices")).toEqual([["B", '{"symbol":"A"}']]);
});

test("a count beyond 64 bits is a bad row with its digits; the rows before it are stored", async () => {
  for (const [name, value] of [
    ["volume", "9223372036854775808"],
    ["volume", "-9223372036854775809"],
    ["volume", "1e19"],
  ]) {
    using folder = new ImportFolder();
    const text = lines(
      `date,open,high,low,close,${name}`,
      "2024-01-02,1,2,0.5,1,9223372036854775807",
      `2024-01-03,1,2,0.5,1,${value}`,
      "2024-01-04,1,2,0.5,1,-9223372036854775808",
    );
    const { result } = await folder.importText(text);
    expect(result.stoppedBy).toEndWith(
      `file.csv:3: column "${name}": expected a number within 64 bits, got "${value}"`,
    );
    expect(result.stored).toBe(1);
    expect((await folder.importText(text, ["--ticker", "T", "--skip-bad"])).result.rowsSkipped).toBe(1);
    expect(folder.query("SELECT CAST(volume AS TEXT) FROM daily_prices ORDER BY date")).toEqual([
      ["9223372036854775807"],
      ["-9223372036854775808"],
    ]);
  }
});

test("a row that the database refuses is named, with the rows that share its request", async () => {
  using folder = new ImportFolder();
  const id = "x".repeat(300);
  const text = lines(
    "timestamp,price,size,id",
    ...["a", "b", "c"].map((each) => `2024-01-02T10:00:00Z,1,1,${each}`),
    `2024-01-02T10:00:00Z,1,1,${id}`,
    "2024-01-02T10:00:00Z,1,1,e",
  );
  const { result } = await folder.importText(text, ["--ticker", "T", "--batch", "2"]);
  expect(result.stoppedBy).toContain("file.csv:5: data[1].id: got ");
  expect(result.stoppedBy).toMatch(
    /none of the 2 rows of its request, .*file\.csv:4 to .*file\.csv:5, is stored$/,
  );
  expect(result.stored).toBe(2);
});

test("the plan says which digits of stamps can't be stored", async () => {
  using folder = new ImportFolder();
  const cut = "digits after the microsecond are cut off";
  const ticks = (...stamps: string[]) =>
    lines("timestamp,price,size", ...stamps.map((stamp) => `${stamp},1,1`));
  const planned = async (text: string): Promise<string> =>
    planOf(await folder.importText(text, ["--ticker", "T", "--plan"]));
  expect(await planned(ticks("1704186000000000123"))).toContain(`nanoseconds since 1970; ${cut}`);
  expect(await planned(ticks("1704186000000123000"))).not.toContain("cut off");
  expect(await planned(ticks("2024-01-02T10:00:00.123456Z", "2024-01-02T10:00:00.1234567Z"))).toContain(cut);
  expect(await planned(ticks("2024-01-02T10:00:00.123456000Z"))).not.toContain("cut off");
  const bars = (fraction: string): string =>
    lines(
      "timestamp,open,high,low,close",
      ...["0", "1"].map((s) => `2024-01-02T10:00:0${s}${fraction}Z,1,2,1,1`),
    );
  expect(await planned(bars(".5"))).toContain("fractions of a second are cut off");
  expect(await planned(bars(".000"))).not.toContain("cut off");
  // A point in a date is none before a fraction.
  const minutes = [1, 2, 3].map((minute) => `2024.01.02,09:0${minute},1,2,0.5,1,9`);
  expect(await planned(lines(...minutes))).not.toContain("cut off");
  expect(await planned(ticks("20240102100000123"))).not.toContain("cut off");
  expect(await planned(ticks("20240102100000123456789"))).toContain(cut);
});

test("the plan quotes a date and a time as two columns", async () => {
  using folder = new ImportFolder();
  const text = lines("Date,Time,Open,High,Low,Close", "2024-01-02,09:30,1,2,1,1", "2024-01-02,09:31,1,2,1,1");
  expect(planOf(await folder.importText(text))).toContain('time     "Date" and "Time"');
  const bad = await folder.importText(`${text}2024-01-02,x,1,2,1,1\n`);
  expect(bad.result.stoppedBy).toContain('file.csv:4: column "Date" and "Time": ');
});

test("the plan says what becomes of tickers with blanks around them, and of rows without one", async () => {
  using folder = new ImportFolder();
  const header = "date,open,high,low,close,symbol";
  const padded = lines(header, "2024-01-02,1,2,1,1, AA ", "2024-01-03,1,2,1,1,BB");
  expect(planOf(await folder.importText(padded, []))).toContain(
    'by column "symbol", such as AA, BB, without the blanks around them\n',
  );
  const blank = lines(header, "2024-01-02,1,2,1,1,", "2024-01-03,1,2,1,1,BB");
  const { result, plan } = await folder.importText(blank, []);
  expect(planOf({ result, plan })).toContain('"symbol", such as BB; rows without one are bad rows\n');
  expect(result.stoppedBy).toContain("file.csv:2: ");
  expect(planOf(await folder.importText(blank, ["--ticker", "BB"]))).toContain(
    "BB, also rows that name none\n",
  );
});

test("messages name the right line, or none; rows of other formats are counted", async () => {
  using folder = new ImportFolder();
  const doubt = await folder.importText(lines("date,open,high,low,close", "01-02-2024,1,2,1,1"));
  expect(doubt.result.stoppedBy).toContain("file.csv: column");
  const object = (date: string): string => `{"date":"${date}","open":1,"high":2,"low":1,"close":1}`;
  const list = `[\n  ${object("2024-01-02")},\n\n  ${object("x")}\n]\n`;
  const bad = await folder.importText(list, ["--ticker", "T"], "list.json");
  expect(bad.result.stoppedBy).toContain('list.json, object 2: column "date"');
  const broken = await folder.importText(
    `[\n${object("2024-01-02")},\n{"date"\n]`,
    ["--ticker", "T"],
    "cut.json",
  );
  expect(broken.result.stoppedBy).toContain("cut.json: no JSON");
});

test("one JSON object over several lines is called that", async () => {
  using folder = new ImportFolder();
  const pretty = JSON.stringify({ date: "2024-01-02", open: 1, note: "} {" }, null, 2);
  for (const text of [pretty, `${pretty}\n${pretty}\n`]) {
    const { result } = await folder.importText(text, ["--ticker", "T"], "one.json");
    expect(result.stoppedBy).toContain(
      "one.json:1: a JSON object over several lines: expected one object a line",
    );
  }
  const wrong = await folder.importText('{"date":}\n', ["--ticker", "T"], "one.json");
  expect(wrong.result.stoppedBy).toContain("one.json:1: no JSON: ");
});

test("UTF-16 without its mark is seen, in text and in JSON", async () => {
  for (const bigEndian of [false, true]) {
    using folder = new ImportFolder();
    const encoded = (text: string): Buffer => {
      const bytes = Buffer.from(text, "utf16le");
      return bigEndian ? bytes.swap16() : bytes;
    };
    const csv = await folder.importText(encoded(lines("date,open,high,low,close", "2024-01-02,1,2,1,1")));
    expect(planOf(csv)).toContain(`text in utf-16${bigEndian ? "be" : "le"}`);
    const json = '{"date":"2024-01-03","open":1,"high":2,"low":1,"close":1}\n';
    await folder.importText(encoded(json), ["--ticker", "T"], "x.json");
    expect(folder.daily().map(([date]) => date)).toEqual(["2024-01-02", "2024-01-03"]);
  }
});

test("a Parquet file that was cut off is named without SQL", async () => {
  using folder = new ImportFolder();
  const path = folder.write("a.parquet", "");
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(
    `copy (select date '2024-01-01' + i::int as date, 1.0 as open, 1.0 as high, 1.0 as low, 1.0 as close from range(3000) t(i)) to '${path}' (format parquet)`,
  );
  connection.closeSync();
  instance.closeSync();
  const bytes = await Bun.file(path).bytes();
  for (const length of [bytes.length - 200, 6]) {
    const { result } = await folder.importText(bytes.subarray(0, length), ["--ticker", "T"], "cut.parquet");
    expect(result.stoppedBy).toContain("cut.parquet as Parquet: its end is missing");
    expect(result.stoppedBy).not.toMatch(/select|LINE/i);
  }
});

test("what nothing would come of stops before the first row: zones, types and columns that are named", async () => {
  using folder = new ImportFolder();
  const stop = async (text: string, ...args: string[]): Promise<string | null> =>
    (await folder.importText(text, ["--ticker", "T", "--plan", ...args])).result.stoppedBy;
  const local = lines("Time (EET),Ask,Bid", "2024.01.02 00:00:00.123,1.2,1.1");
  expect(await stop(local)).toEndWith(
    'column "Time (EET)" names a zone, and its stamps say none: --tz says which it is, such as --tz Europe/Athens, or --tz UTC',
  );
  expect(await stop(local, "--tz", "Europe/Athens")).toBeNull();
  expect(await stop(local.replace("EET", "UTC"))).toBeNull();
  // MetaTrader 5 leaves blank what hasn't changed, and trades have a last price alone.
  const ticks = (...rows: string[]): string =>
    lines("<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>", ...rows);
  const quotes = ["2024.01.02\t00:05:00.1\t1.1\t\t\t\t2", "2024.01.02\t00:05:00.2\t\t1.2\t1.1\t\t4"];
  expect(await stop(ticks(...quotes))).toBeNull();
  expect(await stop(ticks(...quotes, "2024.01.02\t00:05:00.3\t\t\t1.1\t100\t56"))).toContain(
    'some rows have a "<LAST>" and no bid or ask, so they are trades among quotes',
  );
  const bars = (date: string): string => lines("date,open,high,low,close,x", `${date},1,2,0.5,1,7`);
  expect(await stop(bars("2024-01-02"), "--column", "vwap=x")).toContain(
    "--column vwap=x: daily bars have no vwap: expected timestamp,",
  );
  expect(await stop(bars("2024-02-30"))).toContain('column "date": ');
  expect(await stop(bars("2024-02-30"))).toContain("2024-02-30");
  expect(() => parseImportOptions(["f.csv", "--column", "close=a", "--column", "close=b"])).toThrow(
    "--column close=… is given twice",
  );
});

test("what stands for no id tells no ticks apart", async () => {
  using folder = new ImportFolder();
  const trades = (...ids: string[]): string =>
    lines(
      "timestamp,price,size,trade_id",
      ...ids.map((id, i) => `2024-01-02T10:00:00Z,1,${Math.floor(i / 2)},${id}`),
    );
  const absent = ["NaN", "NaN", "null", "null", "-", "-", "", ""];
  const { result } = await folder.importText(trades(...absent, "a", "a"));
  expect(result).toMatchObject({ rows: 10, stored: 9, repeated: 1 });
  expect(folder.query("SELECT DISTINCT id FROM realtime_data ORDER BY id")).toEqual([[null], ["a"]]);
  using zeros = new ImportFolder();
  const filled = await zeros.importText(trades("0", "0", "0"));
  expect(filled.result).toMatchObject({ rows: 3, stored: 3 });
  expect(planOf(filled)).toContain('kept     "trade_id", as extra');
  // An id of an export is what it is.
  using exported = new ImportFolder();
  const own = "ticker,timestamp,type,price,size,ask_price,ask_size,id,extra,seq";
  const tick = (id: string, seq: number): string => `T,2024-01-02T10:00:0${seq}Z,trade,1,1,,,${id},,0`;
  await exported.importText(lines(own, tick("0", 1), tick("0", 2)), []);
  await exported.importText(lines(own, tick("-", 3), tick("null", 4)), []);
  expect(exported.query("SELECT id FROM realtime_data ORDER BY timestamp")).toEqual([
    ["0"],
    ["0"],
    ["-"],
    ["null"],
  ]);
});

test("a list is no number, and columns of one meaning are named among ticks too", async () => {
  using folder = new ImportFolder();
  const stop = async (object: object): Promise<string | null> =>
    (await folder.importText(`${JSON.stringify(object)}\n`)).result.stoppedBy;
  const timestamp = "2024-01-02T10:00:00Z";
  expect(await stop({ timestamp, price: [1, 5], size: 3 })).toContain('column "price": expected a number');
  expect(await stop({ timestamp, Price: 1, price: 2, size: 3 })).toContain(
    'columns "Price" and "price" may both be the price: --column price=price takes that one',
  );
  const flat = "ticker,exchange,id,participant_timestamp,price,sip_timestamp,size,trf_id";
  const { plan } = await folder.importText(
    lines(flat, "A,12,1,1704186000051312640,139.5,1704186000051330048,10,0"),
    ["--plan"],
  );
  expect(describePlan(plan!).join("\n")).toContain('id = "exchange", "trf_id", "id" together');
});

test("a price a day is asked about: it is no trade at midnight", async () => {
  using folder = new ImportFolder();
  const text = lines("Date,Price,Volume", "2024-01-02,1.5,5", "2024-01-03,1.6,6");
  expect((await folder.importText(text)).result.stoppedBy).toContain(
    'column "Date" has dates without a time, such as 2024-01-02: --type trade stores them at midnight',
  );
  const { result } = await folder.importText(text, ["--ticker", "T", "--type", "trade"]);
  expect(result.stored).toBe(2);
});
