import { TICKER_LENGTH_MAX } from "../market/ticker.ts";
import { badRequest } from "../protocol/errors.ts";
import { isKindName, KIND_NAMES, type KindName } from "../storage/model/kinds.ts";
import type { Command } from "./context.ts";
import { readLimit, requireTicker, show } from "./params.ts";

const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 10_000;

export const getTickers: Command = {
  name: "get_tickers",
  scope: "read",
  about: "The tickers that have rows of a kind, page by page.",
  params: ["kind", "after", "limit"],
  async run({ params }, { reader }) {
    const kind = readKind(params.kind);
    const limit = readLimit(params.limit, LIMIT_DEFAULT, LIMIT_MAX);
    const after = params.after ?? null;
    if (after !== null && (typeof after !== "string" || after.length > TICKER_LENGTH_MAX))
      throw badRequest(`after: got ${show(after)}, expected the last ticker of the page before`);
    return `{"tickers":${JSON.stringify(await reader.tickers(kind, after, limit))}}`;
  },
};

export const getTickTypes: Command = {
  name: "get_tick_types",
  scope: "read",
  about: "The types of ticks that a ticker has.",
  params: ["ticker"],
  async run({ params }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    return JSON.stringify({ ticker, types: await reader.parts("ticks", ticker) });
  },
};

export const getSeries: Command = {
  name: "get_series",
  scope: "read",
  about: "The series of a kind that a ticker has, such as the types of its ticks.",
  params: ["kind", "ticker"],
  async run({ params }, { reader }) {
    const kind = readKind(params.kind);
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    return JSON.stringify({ ticker, kind, series: await reader.parts(kind, ticker) });
  },
};

/** @throws RequestError 400 */
export function readKind(value: unknown): KindName {
  if (isKindName(value)) return value;
  const names = KIND_NAMES.map((name) => JSON.stringify(name));
  throw badRequest(`kind: got ${show(value)}, expected ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`);
}
