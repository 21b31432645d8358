/**
 * Writes daily bars as Yahoo gives them: prices adjusted for later splits, volumes and dividends
 * too, beside an adjusted close; or as yfinance does by itself, with prices adjusted for dividends.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gunzipSync } from "node:zlib";

export interface TradedBar {
  date: string;
  /** Open, high, low, close, as they were traded. */
  prices: [number, number, number, number];
  volume: number;
}

export interface FileAction {
  ex_date: string;
  type: "split" | "dividend";
  ratio?: number;
  cash?: number;
}

const SAMPLE = resolve(import.meta.dir, "../../sample");
/** AAPL from 2013 to 2021, across its splits of 2014 and 2020. */
export const AAPL_ACTIONS: FileAction[] = JSON.parse(readFileSync(`${SAMPLE}/aapl-actions.json`, "utf8"));
export const AAPL_BARS: TradedBar[] = gunzipSync(readFileSync(`${SAMPLE}/aapl-daily.csv.gz`))
  .toString()
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => {
    const [date, ...values] = line.split(",");
    const [open, high, low, close, volume] = values.map(Number);
    return { date: date!, prices: [open!, high!, low!, close!], volume: volume! };
  });

interface AdjustedBar extends TradedBar {
  adjustedClose: number;
  dividend: number;
  split: number;
}

export function yahooFile(bars: readonly TradedBar[], actions: readonly FileAction[]): string {
  const rows = adjusted(bars, actions).map(({ date, prices, adjustedClose, volume, dividend, split }) =>
    [
      ...[date, ...[...prices, adjustedClose].map((price) => price.toFixed(6))],
      ...[volume, dividend.toFixed(6), split.toFixed(1)],
    ].join(),
  );
  return `${["Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits", ...rows].join("\n")}\n`;
}

export function yfinanceFile(bars: readonly TradedBar[], actions: readonly FileAction[]): string {
  const rows = adjusted(bars, actions).map(({ date, prices, adjustedClose, volume, dividend, split }) => {
    const share = adjustedClose / prices[3];
    const shown = prices.map((price) => price * share);
    return [`${date} 00:00:00-05:00`, ...shown, volume, dividend, split.toFixed(1)].join();
  });
  return `${["Date,Open,High,Low,Close,Volume,Dividends,Stock Splits", ...rows].join("\n")}\n`;
}

/** Rows as a table of actions has them. */
export function actionsOf(actions: readonly FileAction[]): unknown[][] {
  return actions.map(({ ex_date, type, ratio = null, cash = null }) => [ex_date, type, ratio, cash]);
}

function adjusted(bars: readonly TradedBar[], actions: readonly FileAction[]): AdjustedBar[] {
  const on = (date: string, type: FileAction["type"]) =>
    actions.find((action) => action.ex_date === date && action.type === type);
  let [splits, paid] = [1, 1];
  return bars
    .map((bar, index) => ({ ...bar, before: bars[index - 1] }))
    .reverse()
    .map(({ date, prices, volume, before }) => {
      const ratio = on(date, "split")?.ratio ?? 0;
      const cash = on(date, "dividend")?.cash ?? 0;
      const shown: AdjustedBar = {
        date,
        prices: prices.map((price) => price / splits) as TradedBar["prices"],
        adjustedClose: (prices[3] / splits) * paid,
        volume: volume * splits,
        dividend: cash / splits,
        split: ratio,
      };
      if (before !== undefined) {
        paid *= 1 - (cash * (ratio || 1)) / before.prices[3];
        splits *= ratio || 1;
      }
      return shown;
    })
    .reverse();
}
