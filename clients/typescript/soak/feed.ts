/** A feed handler: `TICKER SIZE` on each line of its input. feed.ts URL SPOOL */
import { createInterface } from "node:readline";
import { connect } from "../src/index.ts";
import { fileSpool } from "../src/spool.ts";

const [url = "", spool = ""] = process.argv.slice(2);
await using writer = connect(url).writer({ spool: fileSpool(spool) });
for await (const line of createInterface({ input: process.stdin })) {
  const [ticker = "", size] = line.split(" ");
  await writer.trade(ticker, { timestamp: new Date(), price: 10.5, size: Number(size) });
}
