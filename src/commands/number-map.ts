/** One number for each ticker of a list, as JSON. */
import { requireTickers } from "./params.ts";

/** Look-ups without a turn for the worker's other clients: about 10 ms. */
const LOOKUPS_A_TURN = 500;

/** @throws RequestError 400 no list of tickers. */
export async function numberMap(
  params: Record<string, unknown>,
  numberOf: (ticker: string) => number | null | Promise<number | null>,
): Promise<string> {
  const members: string[] = [];
  for (const { key, ticker } of requireTickers(params)) {
    if (members.length % LOOKUPS_A_TURN === LOOKUPS_A_TURN - 1) await new Promise(setImmediate);
    const number = ticker === null ? null : await numberOf(ticker);
    members.push(`${JSON.stringify(key)}:${number}`);
  }
  return `{${members.join(",")}}`;
}
