/** Asks for the latest prices of one turn of the event loop together: many may return at once. */

/** Limit for one question; the upstream takes ten times as many. */
const TICKERS_MAX = 1_000;

interface Asked {
  price: Promise<number | null>;
  resolve(price: number | null): void;
  reject(error: unknown): void;
}

export class LatestPrices {
  readonly #ask: (tickers: string[]) => Promise<(number | null)[]>;
  #asked = new Map<string, Asked>();

  /** @param ask answers in the tickers' order. */
  constructor(ask: (tickers: string[]) => Promise<(number | null)[]>) {
    this.#ask = ask;
  }

  of(ticker: string): Promise<number | null> {
    let asked = this.#asked.get(ticker);
    if (asked === undefined) {
      if (this.#asked.size === 0) setImmediate(() => void this.#send());
      const { promise, resolve, reject } = Promise.withResolvers<number | null>();
      asked = { price: promise, resolve, reject };
      this.#asked.set(ticker, asked);
      if (this.#asked.size >= TICKERS_MAX) void this.#send();
    }
    return asked.price;
  }

  async #send(): Promise<void> {
    const asked = this.#asked;
    if (asked.size === 0) return; // sent before its turn, as it was full
    this.#asked = new Map();
    try {
      const prices = await this.#ask([...asked.keys()]);
      for (const [i, { resolve }] of [...asked.values()].entries()) resolve(prices[i] ?? null);
    } catch (error) {
      for (const { reject } of asked.values()) reject(error);
    }
  }
}
