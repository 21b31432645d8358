/**
 * Values of every kind where text, numbers or lists are expected: the caller's fault is 4xx, never
 * 500.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { startServer } from "../support/server.ts";

setDefaultTimeout(120_000);

/** Can be parsed, and is deeper than the stack of what walks through it. */
const DEPTH = 60_000;
/** As JSON text, since some have no place in a JavaScript value. */
const VALUES = [
  "null",
  "true",
  "false",
  "0",
  "5",
  "1.5",
  "-1",
  "1e400",
  "NaN",
  "1234567890123456789",
  "99999999999999999999999",
  '""',
  '" "',
  '"\\u0000"',
  '"\\ud800"',
  '"x"',
  "[]",
  "[1234567890123456789]",
  '["a", null, {}]',
  "{}",
  '{"a": 1234567890123456789}',
  "[".repeat(DEPTH) + "]".repeat(DEPTH),
  `${'{"a":'.repeat(DEPTH)}1${"}".repeat(DEPTH)}`,
];
const REQUESTS: Record<string, Record<string, string>> = {
  get_stock_data: { ticker: '"A"', start_date: '"2024-01-02"', end_date: "null", interval: '"daily"' },
  save_stock_data: {
    ticker: '"A"',
    interval: '"daily"',
    index_col: '"date"',
    on_duplicate: '"replace"',
    data: '[{"date": "2024-01-02", "open": 1, "close": 1, "volume": 1}]',
  },
  save_realtime_data: {
    ticker: '"A"',
    data_type: '"quote"',
    index_col: '"timestamp"',
    on_duplicate: '"ignore"',
    data: '[{"timestamp": "2024-01-02T10:00:00Z", "price": 1, "size": 1, "seq": 0}]',
  },
  get_realtime_data: { ticker: '"A"', data_type: '"quote"', start_datetime: "null", end_datetime: "null" },
  get_latest_price: { ticker: '"A"' },
  get_latest_prices: { tickers: '["A"]' },
  get_previous_close_prices: { tickers: '["A"]' },
  get_today_opening_prices: { tickers: '["A"]' },
  get_today_volume: { tickers: '["A"]' },
  get_today_daily_data: { ticker: '"A"' },
  get_latest_data: { ticker: '"A"', data_type: '"both"', limit: "10" },
  get_historical_data: { ticker: '"A"', data_type: '"trade"', limit: "10" },
  get_updates: {
    ticker: '"A"',
    since: "0",
    epoch: "null",
    limit: "10",
    characters: "1000",
    stored: "true",
  },
  get_snapshot: { ticker: '"A"' },
  get_positions: { tickers: '["A"]' },
  get_tickers: { kind: '"ticks"', after: "null", limit: "10" },
  get_tick_types: { ticker: '"A"' },
  execute_sql: { sql_query: '"select 1 as a"', query_type: '"select"', query_params: "[]" },
};
const RECORD_FIELDS = {
  save_stock_data: ["date", "open", "high", "low", "close", "volume", "of_our_own"],
  save_realtime_data: ["timestamp", "price", "size", "ask_price", "ask_size", "seq", "of_our_own"],
};

test("no value of any parameter or record field is answered with 500, and every answer is JSON", async () => {
  await using server = await startServer();
  const wrong: string[] = [];
  const send = async (command: string, params: Record<string, string>): Promise<void> => {
    const members = Object.entries(params).map(([name, value]) => `"${name}": ${value}`);
    const body = `{"command": ${command}, "params": {${members.join(", ")}}}`;
    const response = await fetch(`${server.url}/db_command`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
    });
    const text = await response.text();
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    if (response.status >= 500 || !isJson)
      wrong.push(`${response.status} ${body.slice(0, 300)} -> ${text.slice(0, 200)}`);
  };
  for (const [command, params] of Object.entries(REQUESTS)) {
    for (const name of Object.keys(params)) {
      for (const value of VALUES) await send(`"${command}"`, { ...params, [name]: value });
    }
  }
  for (const [command, fields] of Object.entries(RECORD_FIELDS)) {
    for (const field of fields) {
      for (const value of VALUES) {
        const stamp = fields[0]!;
        const record = {
          [stamp]: '"2024-01-02T10:00:00Z"',
          price: "1",
          size: "1",
          close: "1",
          [field]: value,
        };
        const members = Object.entries(record).map(([name, text]) => `"${name}": ${text}`);
        await send(`"${command}"`, { ...REQUESTS[command]!, data: `[{${members.join(", ")}}]` });
      }
    }
  }
  for (const value of VALUES) await send(value, {});
  expect(wrong).toEqual([]);
});

test("types that live updates use for something else are refused", async () => {
  await using server = await startServer();
  const types = ["heartbeat", "initial_price", "snapshot", "recovery", "gap", "replay_end", "bar", "*", "-x"];
  for (const type of types) {
    const { status, body } = await server.command("save_realtime_data", {
      ticker: "A",
      data_type: type,
      index_col: "timestamp",
      data: [{ timestamp: "2024-01-02T10:00:00Z", price: 1, size: 1 }],
    });
    expect([status, body.error]).toEqual([
      400,
      `data_type: got "${type}", which stands for something else in live updates; expected a name such as "quote" or "trade"`,
    ]);
  }
});
