/** A bot: tells each trade as `TICKER POSITION SIZE`. bot.ts URL STATE TICKERS */
import { connect } from "../src/index.ts";

const [url = "", state = "", tickers = ""] = process.argv.slice(2);
for await (const update of connect(url).stream(tickers, { types: "trade", state })) {
  if (update.type !== "trade") continue;
  for (const { size } of update.records) console.log(update.ticker, update.position, size);
}
