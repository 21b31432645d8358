import { badRequest } from "../protocol/errors.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import type { Command } from "./context.ts";
import { requireTickers } from "./params.ts";

/** Each ticker is a read of its own. */
const TIMES_MAX = 100;

export const getPositions: Command = {
  name: "get_positions",
  scope: "read",
  about:
    "The position of the newest update of each ticker that had one, and the epoch that positions count in.",
  params: ["tickers", "times"],
  async run({ params }, { reader: { updates } }) {
    const tickers = readTickers(params);
    const epoch = await updates.epoch();
    const head = `{"epoch":${JSON.stringify(epoch)},"positions":`;
    if (params.times === true) return `${head}${await positionsAndTimes(updates, tickers)}}`;
    return `${head}${objectOf(await updates.positions(tickers))}}`;
  },
};

/** For a server in front of this one. */
async function positionsAndTimes(updates: UpdateReader, tickers: string[] | null): Promise<string> {
  if (tickers === null || tickers.length > TIMES_MAX)
    throw badRequest(`times: got ${tickers?.length ?? "all"} tickers, expected 1 to ${TIMES_MAX} by name`);
  const positions = new Map<string, number>();
  const times = new Map<string, number>();
  for (const ticker of tickers) {
    const { position, savedAtMs } = await updates.newest(ticker);
    if (position === 0) continue;
    positions.set(ticker, position);
    if (savedAtMs !== null) times.set(ticker, savedAtMs);
  }
  return `${objectOf(positions)},"times":${objectOf(times)}`;
}

function objectOf(numbers: ReadonlyMap<string, number>): string {
  const members = [...numbers].map(([ticker, number]) => `${JSON.stringify(ticker)}:${number}`);
  return `{${members.join(",")}}`;
}

/** @returns null for all tickers. */
function readTickers(params: Record<string, unknown>): string[] | null {
  const { tickers } = params;
  if (tickers === undefined || tickers === null) return null;
  // The caller wants the epoch only.
  if (Array.isArray(tickers) && tickers.length === 0) return [];
  return requireTickers(params).flatMap(({ ticker }) => (ticker === null ? [] : [ticker]));
}
