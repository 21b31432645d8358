/**
 * Sends what the client class of the Python server sends for each of its methods, byte for byte as
 * far as it matters, and reads the answers as that class does.
 */

/** A double, which Python writes with a fraction or exponent; NaN for a hole. */
export class Float {
  constructor(readonly value: number) {}
}

/** Rows of a frame of pandas. Its index goes out as one more column. */
export type DataFrame = Record<string, string | number | Float>[];

/** What the class makes of an answer with rows: its index is parsed, and NaN stands for null. */
export interface ReadDataFrame {
  index: Date[];
  rows: Record<string, unknown>[];
}

type Sent = Record<string, unknown>;
interface Body {
  error?: string;
  warnings?: string[];
  message?: string;
  data?: Record<string, unknown>[];
  [member: string]: unknown;
}

const HEADERS = {
  "Content-Type": "application/json",
  Accept: "*/*",
  "Accept-Encoding": "gzip, deflate",
  "User-Agent": "Python/3.11 aiohttp/3.8.4",
};
/** `format="ISO8601"` of pandas takes it. */
const ISO_STAMP = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/;
/** It sends these with every save. */
const SAVE_PARAMS = { ma_periods: null, ema_periods: null, on_duplicate: "ignore" };

/** What it raises once it has tried often enough. */
export class ConnectionError extends Error {
  override name = "ConnectionError";
}

export class PythonClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async saveStockData(ticker: string, data: DataFrame, interval: string, indexCol: string): Promise<void> {
    const params = { ticker, interval, data, index_col: indexCol, ...SAVE_PARAMS };
    await this.#send("save_stock_data", params);
  }

  async saveRealtimeData(ticker: string, data: DataFrame, dataType: string): Promise<void> {
    const params = { ticker, data, data_type: dataType, index_col: "timestamp", ...SAVE_PARAMS };
    await this.#send("save_realtime_data", params);
  }

  /** Bounds that aren't given go out as null. */
  getStockData(ticker: string, bounds: { start?: string; end?: string; interval?: string } = {}) {
    const { start = null, end = null, interval = "daily" } = bounds;
    const params = { ticker, start_date: start, end_date: end, interval };
    return this.#frame("get_stock_data", params, interval === "hourly" ? "datetime" : "date");
  }

  getRealtimeData(ticker: string, bounds: { start?: string; end?: string; dataType?: string } = {}) {
    const { start = null, end = null, dataType = "quote" } = bounds;
    const params = { ticker, start_datetime: start, end_datetime: end, data_type: dataType };
    return this.#frame("get_realtime_data", params, "timestamp");
  }

  async getLatestPrice(ticker: string): Promise<unknown> {
    return (await this.#send("get_latest_price", { ticker, use_market_time: true })).latest_price;
  }

  getLatestPrices(tickers: string[]): Promise<unknown> {
    return this.#map("get_latest_prices", { tickers }, "prices");
  }

  getPreviousClosePrices(tickers: string[]): Promise<unknown> {
    return this.#map("get_previous_close_prices", { tickers }, "prices");
  }

  getTodayOpeningPrices(tickers: string[]): Promise<unknown> {
    return this.#map("get_today_opening_prices", { tickers }, "prices");
  }

  getLatestData(ticker: string, dataType = "both", limit = 10) {
    return this.#frame("get_latest_data", { ticker, data_type: dataType, limit }, "timestamp");
  }

  getHistoricalData(ticker: string, dataType = "trade", limit = 100, start?: string, end?: string) {
    const params = { ticker, data_type: dataType, start_date: start ?? null, end_date: end ?? null, limit };
    return this.#frame("get_historical_data", params, dataType === "daily" ? "date" : "timestamp");
  }

  getTodayDailyData(ticker: string) {
    return this.#frame("get_today_daily_data", { ticker }, "date");
  }

  getTodayVolume(tickers: string[]): Promise<unknown> {
    return this.#map("get_today_volume", { tickers }, "volumes");
  }

  /** Its frame of contracts has a plain index, which goes out too. */
  async saveOptionsData(ticker: string, data: DataFrame): Promise<void> {
    const rows = data.map((row, index) => ({ index, ...row }));
    await this.#send("save_options_data", { ticker, data: rows, index_col: "expiration_date" });
  }

  /** The bounds are those of the expiration. */
  getOptionsData(
    ticker: string,
    of: { expiration?: string; start?: string; end?: string; optionTickers?: string[] } = {},
  ) {
    const { expiration = null, start = null, end = null, optionTickers = null } = of;
    const bounds = { start_datetime: start, end_datetime: end };
    const params = { ticker, expiration_date: expiration, ...bounds, option_tickers: optionTickers };
    return this.#frame("get_options_data", params, "expiration_date");
  }

  getLatestOptionsData(ticker: string, of: { expiration?: string; optionTickers?: string[] } = {}) {
    const { expiration = null, optionTickers = null } = of;
    const params = { ticker, expiration_date: expiration, option_tickers: optionTickers };
    return this.#frame("get_latest_options_data", params, "expiration_date");
  }

  async getOptionPriceFeature(ticker: string, optionTicker: string): Promise<unknown> {
    return (await this.#send("get_option_price_feature", { ticker, option_ticker: optionTicker })).data;
  }

  async saveFinancialInfo(ticker: string, figures: DataFrame[number]): Promise<void> {
    await this.#send("save_financial_info", { ticker, financial_data: figures });
  }

  getFinancialInfo(ticker: string, bounds: { start?: string; end?: string } = {}) {
    const { start = null, end = null } = bounds;
    return this.#frame("get_financial_info", { ticker, start_date: start, end_date: end }, "date");
  }

  async executeSelectSql(query: string, params: unknown[] = []): Promise<Record<string, unknown>[]> {
    return (await this.#sql("select", query, params)).data!;
  }

  async executeRawSql(query: string, params: unknown[] = []): Promise<Record<string, unknown>[]> {
    return (await this.#sql("raw", query, params)).data!;
  }

  #sql(query_type: string, sql_query: string, query_params: unknown[]): Promise<Body> {
    return this.#send("execute_sql", { sql_query, query_type, query_params });
  }

  async #map(command: string, params: Sent, member: string): Promise<unknown> {
    return (await this.#send(command, params))[member];
  }

  async #frame(command: string, params: Sent, index: string): Promise<ReadDataFrame> {
    const { data = [] } = await this.#send(command, params);
    for (const row of data)
      for (const name of [index, "write_timestamp"])
        if (name in row && !ISO_STAMP.test(String(row[name])))
          throw new Error(`${command}: ${name} is ${row[name]}`);
    return {
      index: data.map((row) => new Date(String(row[index]).replace(" ", "T"))),
      rows: data.map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? Number.NaN])),
      ),
    };
  }

  /** @throws ConnectionError whatever is wrong, without a look at the body. */
  async #send(command: string, params: Sent): Promise<Body> {
    const response = await fetch(`${this.#url}/db_command`, {
      method: "POST",
      headers: HEADERS,
      body: dumps({ command, params }),
    });
    if (!response.ok) throw new ConnectionError(`${command}: ${response.status} ${await response.text()}`);
    const body = (await response.json()) as Body;
    if ("error" in body) throw new Error(body.error);
    // The class doesn't look at them: it must not give a reason for any.
    if (body.warnings !== undefined) throw new Error(`${command}: ${body.warnings.join("; ")}`);
    return body;
  }
}

/** As `json.dumps` of Python writes it. */
export function dumps(value: unknown): string {
  if (value instanceof Float)
    return Number.isInteger(value.value) ? value.value.toFixed(1) : String(value.value);
  if (Array.isArray(value)) return `[${value.map(dumps).join(", ")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([name, member]) => `${dumps(name)}: ${dumps(member)}`)
      .join(", ")}}`;
  const text = JSON.stringify(value);
  return text.replace(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** As it writes the stamps of an index in UTC. */
export function stampOf(moment: string): string {
  return `${new Date(moment).toISOString().slice(0, 23)}000Z`;
}
