/** What a quote's price is. A side that isn't above 0 is absent: nobody bids or offers. */

const QUOTE_PRICES = ["mid", "bid", "ask"] as const;
export type QuotePrice = (typeof QUOTE_PRICES)[number];

/** Quotes that have no price of the kind asked for. */
export interface SkippedQuotes {
  /** Bid above ask: one of the two is late. Only a mid skips them. */
  crossed: number;
  /** Without the side that is asked for; for a mid, without one of the two. */
  oneSided: number;
}

/**
 * @param bids and asks: NaN where there is none.
 * @param skipped is added to.
 * @returns for each quote its price, NaN where it has none.
 */
export function quotePrices(
  bids: Float64Array,
  asks: Float64Array,
  price: QuotePrice,
  skipped: SkippedQuotes,
): Float64Array {
  return price === "mid"
    ? midPrices(bids, asks, skipped)
    : sidePrices(price === "bid" ? bids : asks, skipped);
}

function midPrices(bids: Float64Array, asks: Float64Array, skipped: SkippedQuotes): Float64Array {
  const prices = new Float64Array(bids.length);
  let crossed = 0;
  let oneSided = 0;
  for (let row = 0; row < prices.length; row++) {
    const bid = bids[row]!;
    const ask = asks[row]!;
    if (!(bid > 0 && ask > 0)) {
      oneSided++;
      prices[row] = Number.NaN;
    } else if (bid > ask) {
      crossed++;
      prices[row] = Number.NaN;
    } else prices[row] = (bid + ask) / 2;
  }
  skipped.crossed += crossed;
  skipped.oneSided += oneSided;
  return prices;
}

function sidePrices(side: Float64Array, skipped: SkippedQuotes): Float64Array {
  const prices = new Float64Array(side.length);
  let oneSided = 0;
  for (let row = 0; row < prices.length; row++) {
    const price = side[row]!;
    if (price > 0) prices[row] = price;
    else {
      oneSided++;
      prices[row] = Number.NaN;
    }
  }
  skipped.oneSided += oneSided;
  return prices;
}
