/** Files of vendors and exchanges, by name: a few rows of each as they give them away. */
import { expect, test } from "bun:test";
import { ImportFolder } from "../support/importing.ts";

interface Case {
  shape: string;
  text: string;
  args?: string[];
  kind: string;
  /** Of the first row that is stored. */
  first: unknown[];
}

const T = ["--ticker", "T"];
const lines = (...rows: string[]): string => `${rows.join("\n")}\n`;

const CASES: Case[] = [
  {
    shape: "Yahoo",
    text: lines(
      "Date,Open,High,Low,Close,Adj Close,Volume",
      "2024-01-02,187.15,188.44,183.885,185.64,184.9,82488700",
      "2024-01-03,184.22,185.88,183.43,184.25,183.5,58414500",
    ),
    kind: "daily",
    first: ["T", "2024-01-02", 185.64, 82_488_700],
  },
  {
    shape: "Yahoo",
    text: lines(
      "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
      "2024-01-02 00:00:00-05:00,187.15,188.44,183.885,185.64,82488700,0.0,0.0",
      "2024-07-03 00:00:00-04:00,187.15,188.44,183.885,185.64,82488700,0.24,0.0",
    ),
    kind: "daily",
    first: ["T", "2024-01-02", 185.64, 82_488_700],
  },
  {
    shape: "Stooq",
    text: lines(
      "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
      "AAPL.US,D,20240102,000000,187.15,188.44,183.885,185.64,82488674,0",
    ),
    args: [],
    kind: "daily",
    first: ["AAPL.US", "2024-01-02", 185.64, 82_488_674],
  },
  {
    shape: "Stooq",
    text: lines(
      "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
      "AAPL.US,5,20240102,093000,187.15,188.44,183.885,185.64,1000,0",
    ),
    args: [],
    kind: "5min",
    first: ["AAPL.US", "2024-01-02 09:30:00", 185.64, 1_000],
  },
  {
    shape: "MetaTrader 5",
    text: lines(
      "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
      "2024.01.02\t00:00:00\t1.1\t1.2\t1.0\t1.15\t120\t0\t5",
      "2024.01.02\t01:00:00\t1.1\t1.2\t1.0\t1.15\t121\t0\t5",
    ),
    kind: "hourly",
    first: ["T", "2024-01-02 00:00:00", 1.15, 120],
  },
  {
    shape: "MetaTrader 4",
    text: lines(
      "2024.01.02,09:30,1.10395,1.10400,1.10390,1.10395,25",
      "2024.01.02,09:31,1.10395,1.10400,1.10390,1.10396,26",
    ),
    kind: "1min",
    first: ["T", "2024-01-02 09:30:00", 1.10395, 25],
  },
  {
    shape: "Binance klines",
    text: lines(
      "1704067200000,42283.58,42298.62,42261.02,42298.61,35.92724,1704067259999,1519032.15,1327,23.18766,980394.9,0",
      "1704067260000,42298.62,42320.0,42298.61,42320.0,21.16779,1704067319999,895580.2,1348,13.56875,574062.1,0",
    ),
    kind: "1min",
    first: ["T", "2024-01-01 00:00:00", 42_298.61, 35.92724],
  },
  {
    shape: "Binance klines",
    text: lines(
      "1735689600000000,42283.58,42298.62,42261.02,42298.61,35.92724,1735775999999999,1519032.15,1327,23.18766,980394.9,0",
      "1735776000000000,42283.58,42298.62,42261.02,42298.61,35.92724,1735862399999999,1519032.15,1327,23.18766,980394.9,0",
    ),
    kind: "daily",
    first: ["T", "2025-01-01", 42_298.61, 35.92724],
  },
  {
    shape: "Binance trades",
    text: lines("3348208123,42283.58,0.00118,49.89,1704067200001,True,True"),
    kind: "trade",
    first: ["T", "2024-01-01 00:00:00.001000", 42_283.58, 0.00118],
  },
  {
    shape: "Binance aggregated trades",
    text: lines("2867041830,42283.58,0.00118,3348208123,3348208123,1704067200001,True,True"),
    kind: "trade",
    first: ["T", "2024-01-01 00:00:00.001000", 42_283.58, 0.00118],
  },
  {
    shape: "Polygon flat file",
    text: lines(
      "ticker,volume,open,close,high,low,window_start,transactions",
      "A,4930,138.75,138.81,138.82,138.7,1704171600000000000,73",
      "AA,1815,33.89,33.6,33.89,33.5,1704171600000000000,48",
    ),
    args: [],
    kind: "daily",
    first: ["A", "2024-01-02", 138.81, 4_930],
  },
  {
    shape: "Polygon flat file",
    text: lines(
      "ticker,volume,open,close,high,low,window_start,transactions",
      "A,4930,138.75,138.81,138.82,138.7,1704205800000000000,73",
      "A,1815,138.89,138.6,138.89,138.5,1704205860000000000,48",
    ),
    args: [],
    kind: "1min",
    first: ["A", "2024-01-02 14:30:00", 138.81, 4_930],
  },
  {
    shape: "Polygon flat file",
    text: lines(
      "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,sip_timestamp,size,tape,trf_id,trf_timestamp",
      'A,"12,37",0,11,1,1704186000000000000,139.02,3049,1704186000000123456,5,1,0,0',
      'A,"12,37",0,12,1,1704186000000000000,139.02,3050,1704186000000123456,5,1,0,0',
    ),
    args: [],
    kind: "trade",
    first: ["A", "2024-01-02 09:00:00.000123", 139.02, 5],
  },
  {
    shape: "Databento",
    text: lines(
      "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol",
      "1704205800000000000,33,2,32,185640000000,185740000000,185540000000,185700000000,1200,AAPL",
    ),
    args: [],
    kind: "1min",
    first: ["AAPL", "2024-01-02 14:30:00", 185.7, 1_200],
  },
  {
    shape: "Databento",
    text: lines(
      "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,ts_in_delta,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00,symbol",
      "1704205800000123456,1704205800000100000,1,2,32,A,B,0,185640000000,100,130,165200,2964563,185630000000,185650000000,3,4,AAPL",
    ),
    args: ["--type", "quote"],
    kind: "quote",
    first: ["AAPL", "2024-01-02 14:30:00.000100", 185.63, 3],
  },
  {
    shape: "Alpaca",
    text: lines(
      "symbol,timestamp,open,high,low,close,volume,trade_count,vwap",
      "AAPL,2024-01-02 14:30:00+00:00,187.15,188.44,183.885,185.64,1000,100,186.1",
      "AAPL,2024-01-02 14:31:00+00:00,187.15,188.44,183.885,185.64,1000,100,186.1",
    ),
    args: [],
    kind: "1min",
    first: ["AAPL", "2024-01-02 14:30:00", 185.64, 1_000],
  },
  {
    shape: "Interactive Brokers",
    text: lines(
      "date,open,high,low,close,volume,average,barCount",
      "20240102 09:30:00 US/Eastern,1,2,0.5,1.5,10,1.2,5",
      "20240102 09:31:00 US/Eastern,1,2,0.5,1.5,10,1.2,5",
    ),
    kind: "1min",
    first: ["T", "2024-01-02 14:30:00", 1.5, 10],
  },
  {
    shape: "Kraken bars",
    text: lines(
      "1704067200,42270.0,42271.0,42269.0,42270.5,0.0123,3",
      "1704067260,42270.0,42270.0,42270.0,42270.0,0.0123,3",
    ),
    kind: "1min",
    first: ["T", "2024-01-01 00:00:00", 42_270.5, 0.0123],
  },
  {
    shape: "Kraken trades",
    text: lines("1704067200.1234,42270.0,0.0123", "1704067260.5,42270.0,0.0123"),
    kind: "trade",
    first: ["T", "2024-01-01 00:00:00.123400", 42_270, 0.0123],
  },
  {
    shape: "CryptoDataDownload",
    text: lines(
      "https://www.CryptoDataDownload.com",
      "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
      "1704070800000,2024-01-01 01:00:00,BTC/USD,44187,45914,44176,44961,26.38,1186146",
      "1704067200000,2024-01-01 00:00:00,BTC/USD,42273,44215,42200,44187,10.85,479653",
    ),
    args: [],
    kind: "hourly",
    first: ["BTC/USD", "2024-01-01 00:00:00", 44_187, 10.85],
  },
  {
    shape: "Tardis",
    text: lines(
      "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
      "binance,btcusdt,1704067200123456,1704067200200000,337,buy,42270.1,0.5",
    ),
    args: [],
    kind: "trade",
    first: ["btcusdt", "2024-01-01 00:00:00.123456", 42_270.1, 0.5],
  },
  {
    shape: "Dukascopy",
    text: lines(
      "Local time,Open,High,Low,Close,Volume",
      "01.02.2024 00:00:00.000 GMT+0200,1.1,1.2,1.0,1.15,100.5",
      "01.02.2024 01:00:00.000 GMT+0200,1.1,1.2,1.0,1.16,100.5",
    ),
    kind: "hourly",
    first: ["T", "2024-01-31 22:00:00", 1.15, 100.5],
  },
  {
    shape: "Nasdaq",
    text: lines(
      "Date,Close/Last,Volume,Open,High,Low",
      "01/03/2024,$184.25,58414460,$184.22,$185.88,$183.43",
      "01/02/2024,$185.64,82488670,$187.15,$188.44,$183.885",
    ),
    kind: "daily",
    first: ["T", "2024-01-02", 185.64, 82_488_670],
  },
  {
    shape: "Investing.com",
    text: lines(
      '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"',
      '"01/16/2024","183.63","182.16","184.26","180.93","65.60M","-1.23%"',
      '"01/12/2024","185.92","186.06","186.74","185.19","40.48M","0.18%"',
    ),
    kind: "daily",
    first: ["T", "2024-01-12", 185.92, 40_480_000],
  },
];

const FIRST: Record<string, string> = {
  daily: "SELECT ticker, date, close, volume FROM daily_prices ORDER BY 1, 2 LIMIT 1",
  hourly: "SELECT ticker, datetime, close, volume FROM hourly_prices ORDER BY 1, 2 LIMIT 1",
  trade: "SELECT ticker, timestamp, price, size FROM realtime_data ORDER BY 1, 2 LIMIT 1",
  quote: "SELECT ticker, timestamp, price, size FROM realtime_data ORDER BY 1, 2 LIMIT 1",
};
const OF_INTERVALS = "SELECT ticker, datetime, close, volume FROM interval_prices ORDER BY 1, 2 LIMIT 1";

test.each(CASES)("$shape: $kind", async ({ text, args = T, shape, kind, first }) => {
  using folder = new ImportFolder();
  const { result, plan } = await folder.importText(text, args);
  expect([result.stoppedBy, result.kind, plan?.files[0]?.layout.header.shape?.name]).toEqual([
    null,
    kind as "daily",
    shape,
  ]);
  expect(folder.query(FIRST[kind] ?? OF_INTERVALS)).toEqual([first]);
  const [{ n }] = [{ n: result.rows }];
  expect(n).toBe(
    text
      .trim()
      .split("\n")
      .filter((line) => /\d/.test(line) && !line.includes("ts_")).length,
  );
});

test("yfinance's three lines above the rows name the ticker", async () => {
  using folder = new ImportFolder();
  const text = lines(
    "Price,Close,High,Low,Open,Volume",
    "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL",
    "Date,,,,,",
    "2024-01-02,185.64,188.44,183.885,187.15,82488700",
    "2024-01-03,184.25,185.88,183.43,184.22,58414500",
  );
  expect((await folder.importText(text, [])).result.stoppedBy).toBeNull();
  expect(folder.query("SELECT ticker, date, open FROM daily_prices")).toEqual([
    ["AAPL", "2024-01-02", 187.15],
    ["AAPL", "2024-01-03", 184.22],
  ]);
});

test("each of yfinance's files has its own ticker, though their columns are the same", async () => {
  using folder = new ImportFolder();
  const file = (ticker: string, close: number): string =>
    folder.write(
      `${ticker}.csv`,
      lines(
        "Price,Close,High,Low,Open,Volume",
        `Ticker${`,${ticker}`.repeat(5)}`,
        "Date,,,,,",
        `2024-01-02,${close},${close},${close},${close},1`,
      ),
    );
  const { result } = await folder.import([file("AAPL", 185), file("MSFT", 370)]);
  expect(result.stoppedBy).toBeNull();
  expect(folder.query("SELECT ticker, close FROM daily_prices ORDER BY ticker")).toEqual([
    ["AAPL", 185],
    ["MSFT", 370],
  ]);
});

test("files of one shape with other columns, and of other shapes with as many, are read apart", async () => {
  using folder = new ImportFolder();
  const desk = (name: string, volumes: string, row: string): string =>
    folder.write(
      name,
      lines("https://www.CryptoDataDownload.com", `unix,date,symbol,open,high,low,close,${volumes}`, row),
    );
  const stamp = "1704067200,2024-01-01 00:00:00";
  const files = [
    desk("a.csv", "Volume BTC,Volume USD", `${stamp},BTC/USD,1,2,0.5,1.5,7,8`),
    desk("b.csv", "Volume USD,Volume BTC", `${stamp},BTC/EUR,1,2,0.5,1.5,8,7`),
  ];
  await folder.import([...files, "--interval", "daily"]);
  expect(folder.query("SELECT DISTINCT volume FROM daily_prices")).toEqual([[7]]);
  const bars = folder.write("c.csv", lines(...[200, 260, 320].map((s) => `1704067${s},1,2,0.5,1.5,3,4`)));
  const mt4 = folder.write("d.csv", lines(...[5, 6, 7].map((m) => `2024.01.02,09:0${m},1,2,0.5,1.5,9`)));
  const { result } = await folder.import([bars, mt4, "--ticker", "T"]);
  expect(result).toMatchObject({ stoppedBy: null, stored: 6, kind: "1min" });
});

test("rows that don't belong among the others stop the import", async () => {
  using folder = new ImportFolder();
  const stop = async (text: string, ...args: string[]): Promise<unknown> =>
    (await folder.importText(text, args)).result.stoppedBy;
  const stooq = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>";
  const row = (per: string, time: string): string => `A.US,${per},20240102,${time},1,2,0.5,1,9,0`;
  expect(await stop(lines(stooq, row("D", "000000"), row("60", "160000")))).toContain(
    'csv:3: column "<PER>": got "60", and not "D" as in the first row: import bars of each length apart',
  );
  expect(folder.daily()).toHaveLength(1);
  const book = "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,price,size,order_id,symbol";
  const event = (action: string, at: number): string =>
    `1704186000051330048,170418600005131264${at},160,1,5482,${action},B,3720250000000,1,7,ESH4`;
  const events = lines(book, event("T", 0), event("A", 1), event("T", 2));
  expect(await stop(events)).toContain(
    'csv:3: column "action": got "A", and not "T" of a trade: --skip-bad leaves other events out',
  );
  expect((await folder.importText(events, ["--skip-bad"])).result).toMatchObject({ rows: 2, rowsSkipped: 1 });
  expect(folder.ticks()).toHaveLength(2);
  const statistics = "ts_recv,ts_event,rtype,price,quantity,sequence,stat_type,symbol";
  const changes = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount";
  const stamp = "1704186000051330048";
  expect(await stop(lines(statistics, `${stamp},${stamp},24,3720250000000,1,0,1,ESH4`))).toContain(
    "these are statistics of a venue, as Databento has them, and neither bars nor ticks: --type trade",
  );
  expect(await stop(lines(changes, "x,B,1585699209920000,1585699210000000,true,ask,6436,10"))).toContain(
    "these are changes of an order book, as Tardis has them",
  );
  const typed = (type: string): string =>
    `timestamp,event_type,price,size\n2024-01-02T10:00:00Z,${type},1,2\n`;
  expect(await stop(typed("QUOTE_BID"), "--ticker", "T")).toContain(
    'column "event_type" has "QUOTE_BID", and the columns are those of trades: expected ticks of one type',
  );
  expect(await stop(typed("TRADE"), "--ticker", "T")).toBeNull();
  expect(await stop(typed("QUOTE_BID"), "--ticker", "T", "--type", "trade")).toBeNull();
});

test("dates of Investing.com that would fall on weekends are asked about", async () => {
  using folder = new ImportFolder();
  const rows = ["01/08/2024", "01/07/2024"].map((date) => `"${date}","1","1","2","0.5","","0%"`);
  const text = lines('"Date","Price","Open","High","Low","Vol.","Change %"', ...rows);
  const { result } = await folder.importText(text);
  expect(result.stoppedBy).toContain("--date-order");
});

test("what the tables don't know is kept as extra, unless it is dropped; ids are stored", async () => {
  using bars = new ImportFolder();
  await bars.importText(CASES[0]!.text);
  expect(bars.query("SELECT extra FROM daily_prices LIMIT 1")).toEqual([['{"Adj Close":184.9}']]);
  using dropped = new ImportFolder();
  const { plan } = await dropped.importText(CASES[0]!.text, [...T, "--drop", "Adj Close"]);
  expect(dropped.query("SELECT extra FROM daily_prices LIMIT 1")).toEqual([[null]]);
  expect(plan?.files[0]?.layout.plan.leftOut).toEqual(["Adj Close"]);
  using ticks = new ImportFolder();
  const alpaca = lines(
    '{"t":"2024-01-02T14:30:00.123456789Z","x":"V","p":185.64,"s":100,"c":["@","I"],"i":52983525029461,"z":"C"}',
  );
  await ticks.importText(alpaca);
  expect(ticks.query("SELECT timestamp, price, size, id, extra FROM realtime_data")).toEqual([
    ["2024-01-02 14:30:00.123456", 185.64, 100, "52983525029461", '{"x":"V","c":["@","I"],"z":"C"}'],
  ]);
});

test("extra columns keep their own names, also those that a save would read; no value is none", async () => {
  using kraken = new ImportFolder();
  const trades = lines(
    "txid,pair,time,type,ordertype,price,vol,Misc,ASK_price,interval,write_timestamp",
    "T1,XBT/EUR,2024-01-02 15:00:00.1234,buy,limit,42000.5,0.1,null,x,y,z",
    "T2,XBT/EUR,2024-01-02 15:00:01.1234,sell,limit,42000.5,0.1,N/A,,-,NaN",
  );
  const { plan } = await kraken.importText(trades, ["--type", "trade"]);
  expect(plan?.files[0]?.layout.plan.extras.map(({ column }) => column)).toContain("type");
  expect(kraken.query("SELECT ticker, type, ask_price, extra FROM realtime_data ORDER BY timestamp")).toEqual(
    [
      [
        "XBT/EUR",
        "trade",
        null,
        '{"txid":"T1","type":"buy","ordertype":"limit","ASK_price":"x","interval":"y","write_timestamp":"z"}',
      ],
      ["XBT/EUR", "trade", null, '{"txid":"T2","type":"sell","ordertype":"limit"}'],
    ],
  );
  using bars = new ImportFolder();
  await bars.importText(
    lines("Date,Open,High,Low,Close,Volume,ma_20,Adj Close,note,Note", "2024-01-02,1,2,1,1,5,7,null,a,b"),
  );
  expect(bars.query("SELECT extra FROM daily_prices")).toEqual([['{"ma_20":7,"note":"a","Note":"b"}']]);
  using own = new ImportFolder();
  const extra = '{"type":"buy","Adj Close":1,"seq":9007199254740993}';
  await own.importText(
    lines(
      "ticker,timestamp,type,price,size,ask_price,ask_size,id,extra,seq",
      `IBM,2024-01-02T15:00:00Z,trade,10,1,,,,"${extra.replaceAll('"', '""')}",0`,
    ),
    [],
  );
  expect(own.query("SELECT extra FROM realtime_data")).toEqual([[extra]]);
});

test("what an export wrote comes back as it was: types, places, ids, and what goes along", async () => {
  const first = lines(
    "ticker,timestamp,type,price,size,ask_price,ask_size,seq,id,extra",
    "IBM,2024-01-02T15:00:00.000001Z,trade,10,1,,,0,a7,",
    'IBM,2024-01-02T15:00:00.000001Z,trade,10,1,,,4,,"{""tape"":""C""}"',
    "IBM,2024-01-02T15:00:00.000001Z,auction,10,,,,2,,",
    "IBM,2024-01-02T15:00:00.000001Z,quote,10,1,11,2,0,,",
  );
  const stored = [
    ["auction", 2, null, null, null],
    ["quote", 0, 11, null, null],
    ["trade", 0, null, "a7", null],
    ["trade", 4, null, null, '{"tape":"C"}'],
  ];
  using folder = new ImportFolder();
  for (let times = 0; times < 2; times++) {
    const { result } = await folder.importText(first, []);
    expect(result).toMatchObject({ stoppedBy: null, rows: 4, stored: times === 0 ? 4 : 0 });
    expect(
      folder.query("SELECT type, seq, ask_price, id, extra FROM realtime_data ORDER BY type, seq"),
    ).toEqual(stored);
  }
  using objects = new ImportFolder();
  await objects.importText(
    '{"ticker":"IBM","timestamp":"2024-01-02T15:00:00Z","type":"trade","price":10,"size":1,"ask_price":null,"ask_size":null,"seq":4,"id":null,"extra":{"tape":"C"}}\n',
    [],
  );
  expect(objects.query("SELECT seq, extra FROM realtime_data")).toEqual([[4, '{"tape":"C"}']]);
  const bars = lines(
    "ticker,datetime,interval,open,high,low,close,volume,vwap,trade_count",
    "A,2024-01-02T15:00:00Z,5min,1,2,0.5,1,10,,",
    "A,2024-01-02T15:00:00Z,90s,1,2,0.5,2,10,,",
  );
  await folder.importText(bars, []);
  expect(folder.query("SELECT interval, close FROM interval_prices ORDER BY interval")).toEqual([
    ["5min", 1],
    ["90s", 2],
  ]);
});

test("folders as Hive has them name the ticker, the type and the interval", async () => {
  using folder = new ImportFolder();
  const ticks = lines("timestamp,price,size,ask_price,ask_size,seq", "2024-01-02T15:00:00Z,10,1,,,3");
  folder.write("x/ticks/type=trade/ticker=BRK%2FB/rows.csv", ticks);
  folder.write("x/ticks/type=quote/ticker=IBM/rows.csv", ticks);
  folder.write(
    "x/hourly/ticker=IBM/rows.csv",
    lines("datetime,open,high,low,close", "2024-01-02T15:00:00Z,1,2,0.5,1"),
  );
  folder.write(
    "x/interval/interval=5min/ticker=IBM/rows.csv",
    lines("datetime,open,high,low,close,vwap", "2024-01-02T15:00:00Z,1,2,0.5,2,"),
  );
  const { result } = await folder.import([`${folder.path}/x`]);
  expect(result).toMatchObject({ stoppedBy: null, rows: 4 });
  expect(folder.query("SELECT ticker, type, seq FROM realtime_data ORDER BY 1")).toEqual([
    ["BRK/B", "trade", 3],
    ["IBM", "quote", 3],
  ]);
  expect(folder.query("SELECT ticker, close FROM hourly_prices")).toEqual([["IBM", 1]]);
  expect(folder.query("SELECT ticker, interval, close FROM interval_prices")).toEqual([["IBM", "5min", 2]]);
});
