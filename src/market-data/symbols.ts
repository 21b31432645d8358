/** Which tickers a question means: names, `*` for all, `AA*` for those that begin so. */
import { badRequest } from "../protocol/errors.ts";
import type { KindName } from "../storage/model/kinds.ts";
import type { MarketSource } from "./questions.ts";

/** Tickers of one question that names them, or that its patterns find. */
export const SYMBOLS_MAX = 10_000;
/** Tickers that are looked at for a pattern. */
const LOOKED_AT_MAX = 2_000_000;
const PAGE = 10_000;

export interface WantedSymbols {
  /** As they are. */
  names: readonly string[];
  /** The beginnings of others; "": all. */
  prefixes: readonly string[];
}

export interface FoundSymbols {
  /** Each once. */
  tickers: string[];
  isAll: boolean;
  /** Asked for by name: a misspelt one is told. */
  named: readonly string[];
}

/** @throws RequestError 400 there are too many. */
export async function findTickers(
  { names, prefixes }: WantedSymbols,
  kind: KindName,
  source: MarketSource,
): Promise<FoundSymbols> {
  const tickers = new Set(names);
  const isAll = prefixes.includes("");
  if (prefixes.length > 0) {
    for await (const some of tickersOf(kind, source)) {
      for (const ticker of some)
        if (isAll || prefixes.some((prefix) => ticker.startsWith(prefix))) tickers.add(ticker);
      if (!isAll && tickers.size > SYMBOLS_MAX)
        throw badRequest(
          `symbols: got patterns of more than ${SYMBOLS_MAX} tickers, expected fewer, or * for all`,
        );
    }
  }
  return { tickers: [...tickers], isAll, named: names };
}

/** All that have rows of the kind, in pages. @throws RequestError 400 there are too many. */
export async function* tickersOf(kind: KindName, source: MarketSource): AsyncGenerator<string[]> {
  let after: string | null = null;
  for (let seen = 0; seen < LOOKED_AT_MAX; ) {
    const page: string[] = await source.tickers(kind, after, PAGE);
    yield page;
    if (page.length < PAGE) return;
    seen += page.length;
    after = page.at(-1)!;
  }
  throw badRequest(`symbols: there are more than ${LOOKED_AT_MAX} tickers, expected names or fewer`);
}
