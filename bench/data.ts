/** What the benchmarks store: made up with a fixed seed, so every run works on the same values. */

const DAY_MS = 86_400_000;

export interface Bar {
  date: string;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
}

export const QUOTE_PRICE = 187.15;

/** Daily bars of consecutive weekdays from 1990-01-01 on, oldest first: a random walk in cents. */
export function dailyBars(count: number): Bar[] {
  const random = seededRandom(20_240_102);
  const bars: Bar[] = [];
  let cents = 10_000;
  for (let day = Date.UTC(1990, 0, 1); bars.length < count; day += DAY_MS) {
    const weekday = new Date(day).getUTCDay();
    if (weekday === 0 || weekday === 6) continue;
    const open = cents;
    cents = Math.max(500, cents + Math.round((random() - 0.49) * 400));
    const high = Math.max(open, cents) + Math.round(random() * 100);
    const low = Math.min(open, cents) - Math.round(random() * 100);
    bars.push({
      date: new Date(day).toISOString().slice(0, 10),
      open: open / 100,
      high: high / 100,
      low: low / 100,
      close: cents / 100,
      volume: 1_000_000 + Math.round(random() * 9_000_000),
    });
  }
  return bars;
}

/** A quote newer than every bar, so it is what `get_latest_price` answers. */
export const NEWEST_QUOTE = { timestamp: "2031-03-03T15:30:00.000000Z", price: QUOTE_PRICE, size: 300 };

/** Numbers in [0, 1), the same in every run: a 32-bit linear congruential generator. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A year of them is what a chart asks for. */
export const READ_BARS = 252;
/** Those before them, so that every moving average has a value. */
const EARLIER_BARS = 268;
export const CHART_BARS: readonly Bar[] = dailyBars(EARLIER_BARS + READ_BARS);
export const YEAR = {
  ticker: "AAPL",
  interval: "daily",
  start_date: CHART_BARS[EARLIER_BARS]!.date,
  end_date: CHART_BARS.at(-1)!.date,
};
