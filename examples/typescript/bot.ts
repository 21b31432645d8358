/**
 * A bot: tells each trade, and whether it is a high or a low of the last 20 before it.
 *
 *     node_modules/.bin/bun examples/typescript/bot.ts IBM SPY
 *
 * Where it has come to is kept in `bot.json`: the next run goes on there, and hears what was saved
 * meanwhile. What the server can't tell any more is an event of its own, and no silence.
 */
import { connect } from "stock-db-client";

const SHOWN = 20;
const prices = new Map<string, number[]>();

function signal(price: number, before: readonly number[]): string {
  if (before.length === 0) return "-";
  if (price > Math.max(...before)) return "high";
  return price < Math.min(...before) ? "low" : "-";
}

const db = connect(process.env.STOCK_DB_URL ?? "http://localhost:8080", { key: process.env.STOCK_DB_KEY });
const state = process.env.BOT_STATE ?? "bot.json";
for await (const update of db.stream(process.argv.slice(2), { types: "trade", state })) {
  if (update.type === "gap") {
    console.log(update.ticker, "has missed updates: start from its history again");
    prices.delete(update.ticker);
  }
  if (update.type !== "trade") continue;
  for (const { timestamp, price } of update.records) {
    if (price === null) continue;
    const before = prices.get(update.ticker) ?? [];
    console.log(update.ticker, timestamp, price, signal(price, before));
    prices.set(update.ticker, [...before, price].slice(-SHOWN));
  }
}
