import { snapshotJson } from "../stream/snapshot-json.ts";
import type { Command } from "./context.ts";
import { requireTicker } from "./params.ts";

export const getSnapshot: Command = {
  name: "get_snapshot",
  scope: "read",
  about: "The newest quote, trade, daily and hourly bar of a ticker, and the position up to which they hold.",
  params: ["ticker"],
  async run({ params }, { reader: { updates } }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const epoch = await updates.epoch();
    const snapshot = await updates.snapshot(ticker);
    const head = JSON.stringify({ ticker, seq: snapshot.position, epoch });
    return `${head.slice(0, -1)},${snapshotJson(snapshot).slice(1)}`;
  },
};
