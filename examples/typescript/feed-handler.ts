/**
 * A feed handler: stores the trades of its input, one a line, and loses none.
 *
 *     zcat sample/ibm-trades.csv.gz | node_modules/.bin/bun examples/typescript/feed-handler.ts IBM
 *
 * While the server is away, trades wait in the folder `feed.spool`. If this program is killed, its
 * next run sends first what is left there. Each trade has an id, here the number of its line: so a
 * file that is fed again is stored once.
 */
import { createInterface } from "node:readline";
import { connect } from "stock-db-client";
import { fileSpool } from "stock-db-client/spool";

const [ticker = "IBM", spool = "feed.spool"] = process.argv.slice(2);
const db = connect(process.env.STOCK_DB_URL ?? "http://localhost:8080", { key: process.env.STOCK_DB_KEY });
const writer = db.writer({ spool: fileSpool(spool) });

let number = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const [timestamp = "", price, size] = line.split(",");
  if (timestamp === "timestamp") continue;
  number++;
  await writer.trade(ticker, { timestamp, price: Number(price), size: Number(size), id: String(number) });
}
await writer.close();
console.log(writer.figures.rows, "trades are stored");
