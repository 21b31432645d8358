/** get_positions: how far each ticker is. */
import type { Command } from "./context.ts";
import { requireTickers } from "./params.ts";

export const getPositions: Command = {
  name: "get_positions",
  about:
    "The position of the newest update of each ticker that had one, and the epoch that positions count in.",
  async run({ params }, { reader: { updates } }) {
    const epoch = await updates.epoch();
    const positions = await updates.positions(readTickers(params));
    const members = [...positions].map(([ticker, seq]) => `${JSON.stringify(ticker)}:${seq}`);
    return `{"epoch":${JSON.stringify(epoch)},"positions":{${members.join(",")}}}`;
  },
};

/** Null: all. */
function readTickers(params: Record<string, unknown>): string[] | null {
  const { tickers } = params;
  if (tickers === undefined || tickers === null) return null;
  // Only the epoch is wanted.
  if (Array.isArray(tickers) && tickers.length === 0) return [];
  return requireTickers(params).flatMap(({ ticker }) => (ticker === null ? [] : [ticker]));
}
