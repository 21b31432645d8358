/** Each method of the Python server's client class, on every engine. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { usePostgres } from "../support/postgres.ts";
import { DUCKDB, FRONT, postgresBackend, SQLITE } from "./backends.ts";
import { ConnectionError, type DataFrame, dumps, Float, PythonClient, stampOf } from "./python-client.ts";

setDefaultTimeout(180_000);

const DAY_MS = 86_400_000;
const today = (): string =>
  new Intl.DateTimeFormat("sv-SE", { timeZone: "America/New_York" }).format(Date.now());

function bars(...of: [day: string, close: number, volume?: number][]): DataFrame {
  return of.map(([day, close, volume = Number.NaN]) => ({
    date: stampOf(`${day}T00:00:00Z`),
    open: new Float(close - 0.5),
    high: new Float(close + 1),
    low: new Float(close - 1),
    close: new Float(close),
    volume: new Float(volume),
    write_timestamp: stampOf("2024-01-05T00:00:00Z"),
  }));
}

function ticks(...of: [second: number, price: number, ask?: number][]): DataFrame {
  return of.map(([second, price, ask = Number.NaN]) => ({
    timestamp: stampOf(new Date(Date.parse("2024-01-02T15:00:00Z") + second * 1_000).toISOString()),
    price: new Float(price),
    size: 100,
    ask_price: new Float(ask),
    ask_size: new Float(Number.isNaN(ask) ? ask : 7),
  }));
}

const column = ({ rows }: { rows: Record<string, unknown>[] }, name: string): unknown[] =>
  rows.map((row) => row[name]);

for (const backend of [SQLITE, DUCKDB, postgresBackend(usePostgres()), FRONT]) {
  const withClient = (name: string, body: (client: PythonClient) => Promise<void>): void =>
    test(`the Python client: ${name}: ${backend.name}`, async () => {
      await using stack = new AsyncDisposableStack();
      const server = await backend.start({ flags: [], workers: 1 }, stack);
      await body(new PythonClient(server.url));
    });

  withClient("bars", async (client) => {
    await client.saveStockData("A", bars(["2024-01-02", 10, 1_000], ["2024-01-03", 11]), "daily", "date");
    const all = await client.getStockData("A");
    expect(all.index).toEqual([new Date("2024-01-02"), new Date("2024-01-03")]);
    expect(column(all, "close")).toEqual([10, 11]);
    expect(column(all, "volume")).toEqual([1_000, Number.NaN]);
    expect(column(all, "ma_10")).toEqual([Number.NaN, Number.NaN]);
    // It sends "ignore" with every save, and relies on the bar being updated.
    await client.saveStockData("A", bars(["2024-01-03", 12, 5], ["2024-01-04", 13, 6]), "daily", "date");
    expect(column(await client.getStockData("A"), "close")).toEqual([10, 12, 13]);
    const bounded = await client.getStockData("A", { start: "2024-01-03", end: "2024-01-03" });
    expect(column(bounded, "close")).toEqual([12]);
    expect((await client.getStockData("A", { start: "2030-01-01" })).rows).toEqual([]);
    const hours = bars(["2024-01-02", 20, 1]).map(({ date: _, ...bar }, i) => ({
      datetime: stampOf(`2024-01-02T1${i}:00:00Z`),
      ...bar,
    }));
    await client.saveStockData("A", hours, "hourly", "datetime");
    const hourly = await client.getStockData("A", { interval: "hourly" });
    expect([hourly.index, column(hourly, "close")]).toEqual([[new Date("2024-01-02T10:00:00Z")], [20]]);
    expect(await client.getPreviousClosePrices(["A", "NONE"])).toEqual({ A: 12, NONE: null });
    const history = await client.getHistoricalData("A", "daily", 2, "2024-01-01", "2024-01-03");
    expect(column(history, "close")).toEqual([10, 12]);
  });

  withClient("ticks", async (client) => {
    await client.saveRealtimeData("A", ticks([1, 1.5, 1.75], [2, 2.5]), "quote");
    await client.saveRealtimeData("A", ticks([1, 10], [3, 11], [3, 11]), "trade");
    const quotes = await client.getRealtimeData("A");
    expect(quotes.index).toEqual([new Date("2024-01-02T15:00:01Z"), new Date("2024-01-02T15:00:02Z")]);
    expect(column(quotes, "price")).toEqual([1.5, 2.5]);
    expect(column(quotes, "ask_price")).toEqual([1.75, Number.NaN]);
    const bounds = { start: stampOf("2024-01-02T15:00:02Z"), end: stampOf("2024-01-02T15:00:03Z") };
    expect(column(await client.getRealtimeData("A", { ...bounds, dataType: "trade" }), "price")).toEqual([
      11, 11,
    ]);
    expect((await client.getRealtimeData("NONE")).rows).toEqual([]);
    const latest = await client.getLatestData("A");
    expect(column(latest, "type")).toEqual(["trade", "trade", "quote", "quote", "trade"]);
    expect(column(latest, "volume").slice(0, 2)).toEqual([100, 100]);
    expect(column(await client.getLatestData("A", "quote", 1), "price")).toEqual([2.5]);
    expect(column(await client.getHistoricalData("A"), "price")).toEqual([10, 11, 11]);
    expect(column(await client.getHistoricalData("A", "quote", 1), "price")).toEqual([2.5]);
    expect(await client.getLatestPrice("A")).toBe(11);
    expect(await client.getLatestPrice("NONE")).toBeNull();
    expect(await client.getLatestPrices(["A", "NONE"])).toEqual({ A: 11, NONE: null });
  });

  withClient("today", async (client) => {
    const day = today();
    const before = new Date(Date.parse(day) - DAY_MS).toISOString().slice(0, 10);
    await client.saveStockData("A", bars([before, 10, 1_000], [day, 11, 2_000]), "daily", "date");
    await client.saveStockData("OLD", bars([before, 10, 1_000]), "daily", "date");
    const now: DataFrame = [{ timestamp: stampOf(new Date().toISOString()), price: new Float(1), size: 30 }];
    await client.saveRealtimeData("TRADED", now, "trade");
    const found = {
      opening: await client.getTodayOpeningPrices(["A", "OLD"]),
      volumes: await client.getTodayVolume(["A", "OLD", "TRADED"]),
      bar: column(await client.getTodayDailyData("A"), "close"),
      none: (await client.getTodayDailyData("OLD")).rows,
    };
    // Midnight in New York may have passed meanwhile.
    if (today() !== day) return;
    expect(found).toEqual({
      opening: { A: 10.5, OLD: null },
      volumes: { A: 2_000, OLD: null, TRADED: 30 },
      bar: [11],
      none: [],
    });
  });

  withClient("SQL, and what it raises", async (client) => {
    await client.saveStockData("A", bars(["2024-01-02", 10, 1_000]), "daily", "date");
    const query = "SELECT ticker, close FROM daily_prices WHERE ticker = ?";
    expect(await client.executeSelectSql(query, ["A"])).toEqual([{ ticker: "A", close: 10 }]);
    expect(await client.executeSelectSql(query, ["NONE"])).toEqual([]);
    expect(await client.executeRawSql("CREATE TABLE mine (a INTEGER)")).toEqual([]);
    expect(await client.executeRawSql("INSERT INTO mine VALUES (?), (?)", [1, 2])).toEqual([]);
    expect(await client.executeRawSql("SELECT a FROM mine ORDER BY a")).toEqual([{ a: 1 }, { a: 2 }]);
    const wrong = [
      () => client.executeSelectSql("SELEKT 1"),
      () => client.getLatestPrice(""),
      () => client.getTodayVolume([]),
    ];
    for (const call of wrong) expect(await call().catch((error) => error)).toBeInstanceOf(ConnectionError);
  });

  withClient("options", async (client) => {
    const contract = (type: string, strike: number, bid: number): DataFrame[number] => ({
      ticker: "A",
      option_ticker: `O:A300118${type === "call" ? "C" : "P"}${strike}`,
      expiration_date: "2030-01-18",
      ...{ strike_price: new Float(strike), option_type: type, bid: new Float(bid) },
      ...{ ask: new Float(bid + 0.5), price: new Float(Number.NaN), day_close: new Float(bid) },
      ...{ fmv: new Float(Number.NaN), delta: new Float(0.5), implied_volatility: new Float(Number.NaN) },
      ...{ volume: new Float(12), open_interest: new Float(Number.NaN) },
      last_quote_timestamp: 1_704_207_601_000_000_000,
      timestamp: "2024-01-02T15:00:00.000000Z",
    });
    const [call, put] = [contract("call", 100, 5), contract("put", 100, 4)];
    await client.saveOptionsData("A", [call, put]);
    // A later poll of the same bucket.
    await client.saveOptionsData("A", [contract("call", 100, 6)]);
    const chain = await client.getOptionsData("A");
    expect(chain.index).toEqual([new Date("2030-01-18"), new Date("2030-01-18")]);
    expect(column(chain, "bid")).toEqual([6, 4]);
    expect(column(chain, "price")).toEqual([Number.NaN, Number.NaN]);
    expect(column(chain, "volume")).toEqual([12, 12]);
    expect(column(chain, "last_quote_timestamp")[0]).toBe("2024-01-02T15:00:01.000000Z");
    const name = String(put.option_ticker);
    const some = { expiration: "2030-01-18", start: "2030-01-01", end: "2030-02-01", optionTickers: [name] };
    expect(column(await client.getOptionsData("A", some), "option_type")).toEqual(["put"]);
    expect((await client.getOptionsData("A", { end: "2029-12-31" })).rows).toEqual([]);
    // Its snapshot is older than seven days.
    expect((await client.getLatestOptionsData("A")).rows).toEqual([]);
    const { timestamp: _, ...now } = call;
    await client.saveOptionsData("A", [now]);
    expect(column(await client.getLatestOptionsData("A", { expiration: "2030-01-18" }), "bid")).toEqual([5]);
    expect((await client.getLatestOptionsData("A", { optionTickers: [name] })).rows).toEqual([]);
    expect(await client.getOptionPriceFeature("A", name)).toEqual({
      ...{ price: null, bid: 4, ask: 4.5, day_close: 4, fmv: null },
    });
    expect(await client.getOptionPriceFeature("A", "O:NONE")).toBeNull();
  });

  withClient("financial figures", async (client) => {
    expect((await client.getFinancialInfo("A")).rows).toEqual([]);
    const day = { date: "2024-01-02", price: new Float(185.5), market_cap: 2_890_000_000_000 };
    await client.saveFinancialInfo("A", { ...day, current: new Float(1.25), quick: new Float(Number.NaN) });
    await client.saveFinancialInfo("A", { date: "2024-01-03", price: new Float(184), cash: new Float(0.5) });
    const newest = await client.getFinancialInfo("A");
    expect(newest.index).toEqual([new Date("2024-01-03")]);
    expect(newest.rows).toMatchObject([
      { price: 184, market_cap: 2_890_000_000_000, current: 1.25, quick: Number.NaN, cash: 0.5 },
    ]);
    const both = await client.getFinancialInfo("A", { start: "2024-01-01", end: "2024-01-03" });
    expect(column(both, "price")).toEqual([185.5, 184]);
    expect(column(both, "cash")).toEqual([Number.NaN, 0.5]);
  });
}

test("what is sent is what Python writes", () => {
  const sent = { a: [new Float(1), new Float(Number.NaN), new Float(0.1), 2, null, "é"], b: {} };
  expect(dumps(sent)).toBe('{"a": [1.0, NaN, 0.1, 2, null, "\\u00e9"], "b": {}}');
});
