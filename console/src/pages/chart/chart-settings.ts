/** What a chart shows, as its address tells it. */

/** Lines beside each other that can still be told apart; there is a color for each. */
const SYMBOLS_MAX = 6;

export interface ChartSettings {
  symbols: string[];
  timeframe: string;
  /** Of an exchange, such as `XNYS`; empty: every hour of every day counts, in UTC. */
  calendar: string;
  /** `regular`, `extended`, or hours such as `09:30-16:00`; only with a calendar. */
  session: string;
  adjustment: string;
  /** Such as `sma_50`, as /v1/bars calls them; none where several tickers are compared. */
  averages: string[];
}

export const TIMEFRAMES = ["1Min", "5Min", "15Min", "1Hour", "1Day", "1Week", "1Month"] as const;

/** Those that the server keeps of daily bars; it reckons them for bars of any other length, too. */
export const AVERAGES = [
  ...[10, 50, 100, 200].map((bars) => [`sma_${bars}`, `MA ${bars}`] as const),
  ...[8, 21, 34, 55, 89].map((bars) => [`ema_${bars}`, `EMA ${bars}`] as const),
];

export const CALENDARS: readonly (readonly [string, string, string])[] = [
  ["", "All hours, UTC", "UTC"],
  ["XNYS", "New York", "America/New_York"],
  ["XLON", "London", "Europe/London"],
  ["XETR", "Xetra", "Europe/Berlin"],
  ["XPAR", "Paris", "Europe/Paris"],
  ["XTSE", "Toronto", "America/Toronto"],
  ["XTKS", "Tokyo", "Asia/Tokyo"],
  ["XHKG", "Hong Kong", "Asia/Hong_Kong"],
  ["XSHG", "Shanghai", "Asia/Shanghai"],
  ["XASX", "Sydney", "Australia/Sydney"],
  ["CME_GLOBEX_EQUITY", "CME Globex", "America/Chicago"],
];

const DEFAULT_AVERAGES = "sma_50,sma_200";

/** @param timeframe where the address names none. */
export function settingsOf(params: URLSearchParams, timeframe: string): ChartSettings {
  const listed = (text: string) =>
    text
      .split(",")
      .map((each) => each.trim())
      .filter((each) => each !== "");
  const symbols = [...new Set(listed(params.get("symbols") ?? ""))].slice(0, SYMBOLS_MAX);
  const averages = symbols.length > 1 ? "" : (params.get("averages") ?? DEFAULT_AVERAGES);
  return {
    symbols,
    timeframe: params.get("timeframe") ?? timeframe,
    calendar: params.get("calendar") ?? "",
    session: params.get("session") ?? "regular",
    adjustment: params.get("adjustment") ?? "all",
    averages: listed(averages).filter((each) => each !== "none"),
  };
}

export function zoneOf({ calendar }: ChartSettings): string {
  return CALENDARS.find(([name]) => name === calendar)?.[2] ?? "UTC";
}

const UNIT_S: readonly (readonly [RegExp, number])[] = [
  [/^s/, 1],
  [/^min/, 60],
  [/^h/, 3_600],
  [/^d/, 86_400],
  [/^w/, 7 * 86_400],
  [/^mo/, 30 * 86_400],
  [/^y/, 365 * 86_400],
];

/** About, of months and years. @returns null: it is no length of bars. */
export function timeframeSeconds(timeframe: string): number | null {
  const found = /^(\d+)\s*([a-z]+)$/i.exec(timeframe.trim());
  if (found === null) return null;
  const unit = UNIT_S.find(([name]) => name.test(found[2]!.toLowerCase()));
  return unit === undefined ? null : Number(found[1]) * unit[1];
}
