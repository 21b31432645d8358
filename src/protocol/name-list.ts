/**
 * Names in one text, as in `symbols=AAPL, MSFT` and `--tickers AAPL,MSFT`. Blanks around a name are
 * no part of it: people write them after commas. A name with such blanks goes into a JSON list.
 */
export function namesIn(list: string): string[] {
  return list.split(",").map((name) => name.trim());
}
