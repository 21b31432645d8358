/**
 * A dashboard: a page with the newest price of some tickers, as they move. The browser itself is a
 * client of the server, which has to know the origin of the page:
 *
 *     npm start -- --allow-origin http://localhost:3000
 *     node_modules/.bin/bun examples/typescript/dashboard.html
 *
 * Then open http://localhost:3000?symbols=IBM,SPY. `server=` tells another server.
 */
import { connect } from "stock-db-client";

const asked = new URLSearchParams(location.search);
const symbols = (asked.get("symbols") ?? "IBM,SPY,AAPL").split(",");
const table = document.querySelector<HTMLTableElement>("#prices")!;
const rows = new Map<string, HTMLTableRowElement>();

function show(ticker: string, price: number | null, time: string): void {
  const row = rows.get(ticker) ?? table.insertRow();
  rows.set(ticker, row);
  const texts = [ticker, price?.toFixed(2) ?? "", time];
  row.replaceChildren(
    ...texts.map((text) => Object.assign(document.createElement("td"), { textContent: text })),
  );
}

const db = connect(asked.get("server") ?? "http://localhost:8080");
for await (const update of db.stream(symbols, { types: "trade", snapshot: true })) {
  if (update.type === "trade")
    for (const { price, timestamp } of update.records) show(update.ticker, price, timestamp);
  if (update.type === "snapshot" && update.trade !== null)
    show(update.ticker, update.trade.price, update.trade.timestamp);
}
