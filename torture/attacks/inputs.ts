/** Values of commands that no client should send, or that mean something else than they seem to. */
import { type Attack, expectStatus, type Target } from "../attack.ts";

const STAMP = "2024-01-02T15:00:00Z";
const LONG = "t".repeat(100_000);

/** As they stand in JSON. */
const BAD_PRICES = ["true", "false", '"0x10"', '"abc"', "[]", "{}", '"1e400"', "0x10", "01", "+1"];
const HOLES = ["null", "NaN", "-Infinity", "Infinity"];

const BAD_SAVES: Record<string, unknown>[] = [
  { data_type: LONG },
  { ticker: LONG },
  { ticker: "" },
  { ticker: ["A"] },
  { index_col: LONG },
  { index_col: "__proto__" },
  { on_duplicate: LONG },
  { on_duplicate: "perhaps" },
  { data: "x" },
  { data: [1] },
  { data: [{ timestamp: " ".repeat(1_000_000), price: 1 }] },
  { data: [{ timestamp: "1".repeat(1_000_000), price: 1 }] },
  { data: [{ timestamp: "2024-02-30", price: 1 }] },
  { data: [{ timestamp: "2024-01-01T00:00:00+99:99", price: 1 }] },
];

const BAD_COMMANDS: [command: string, params: Record<string, unknown>][] = [
  ["get_latest_price", { ticker: "A".repeat(1_025) }],
  ["get_stock_data", { ticker: "AAPL", interval: LONG }],
  ["get_stock_data", { ticker: "AAPL", interval: "daily_prices; --" }],
  ["get_stock_data", { ticker: "AAPL", start_date: "0".repeat(1_000_000) }],
  ["get_tickers", { kind: "sqlite_master" }],
  ["get_tickers", { kind: LONG }],
  ["get_latest_data", { ticker: "IBM", limit: 1e9 }],
  ["get_latest_data", { ticker: "IBM", limit: "1; DROP TABLE daily_prices" }],
  ["get_latest_data", { ticker: "IBM", data_type: LONG }],
  ["get_updates", { ticker: "IBM", since: `2024-${"0".repeat(1_000_000)}` }],
  ["get_updates", { ticker: "IBM", since: 0, epoch: LONG }],
  ["execute_sql", { sql_query: LONG, query_type: "select" }],
  ["execute_sql", { sql_query: "SELECT 1", query_type: LONG }],
  ["execute_sql", { sql_query: "SELECT 1", query_params: LONG }],
  [LONG, {}],
];

/** Stored under the name as it is, and found under it only. */
const ODD_TICKERS = [
  "__proto__",
  "constructor",
  "A\0B",
  "A'; DROP TABLE daily_prices; --",
  "\u202eABC",
  "a\nb",
];

export const INPUTS: readonly Attack[] = [
  {
    name: "odd-prices",
    about: "saves prices that are no numbers, and holes, which are",
    async run(target) {
      for (const price of BAD_PRICES)
        expectStatus(target, `a price of ${price}`, await target.post(saveOf(price)), [400]);
      for (const price of HOLES)
        expectStatus(target, `a price of ${price}`, await target.post(saveOf(price)), [200]);
    },
  },
  {
    name: "odd-values",
    about: "sends values that are too long, of another kind, or from another world",
    async run(target) {
      for (const change of BAD_SAVES) {
        const answer = await target.command("save_realtime_data", { ...usualSave(), ...change });
        expectStatus(target, `a save with ${JSON.stringify(change).slice(0, 60)}`, answer, [400]);
        if (answer.text.length > 5_000) target.complain(`an error of ${answer.text.length} characters`);
      }
      for (const [name, params] of BAD_COMMANDS) {
        const answer = await target.command(name, params);
        expectStatus(target, `${name.slice(0, 20)} ${JSON.stringify(params).slice(0, 60)}`, answer, [400]);
        if (answer.text.length > 5_000) target.complain(`an error of ${answer.text.length} characters`);
      }
    },
  },
  {
    name: "odd-tickers",
    about: "saves tickers whose names are traps, and reads them back",
    async run(target) {
      for (const ticker of ODD_TICKERS) await saveAndRead(target, ticker);
    },
  },
];

async function saveAndRead(target: Target, ticker: string): Promise<void> {
  const saved = await target.command("save_realtime_data", { ...usualSave(), ticker });
  const what = `the ticker ${JSON.stringify(ticker)}`;
  // PostgreSQL holds no NUL.
  expectStatus(target, what, saved, ticker.includes("\0") ? [200, 400] : [200]);
  if (saved.status !== 200) return;
  const { text } = await target.command("get_latest_price", { ticker });
  if (JSON.parse(text).latest_price !== 7)
    target.complain(`${what}: saved, then read as ${text.slice(0, 200)}`);
  if (target.server.log().includes("\u202e"))
    target.complain("the log has a character that turns its line around");
}

function usualSave(): Record<string, unknown> {
  const data = [{ timestamp: STAMP, price: 7, size: 1 }];
  return { ticker: "ODD", data_type: "trade", index_col: "timestamp", data };
}

function saveOf(price: string): string {
  return `{"command":"save_realtime_data","params":{"ticker":"ODDPRICE","data_type":"trade","index_col":"timestamp","data":[{"timestamp":"${STAMP}","price":${price},"size":1}]}}`;
}
