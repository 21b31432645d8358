/** Patterns of tickers: a ticker in which `*` stands for any characters. */

/** Without a regular expression: one of many stars could take for ever. */
export function matcherOf(pattern: string): (ticker: string) => boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return (ticker) => ticker === pattern;
  return (ticker) => {
    if (!ticker.startsWith(first)) return false;
    let at = first.length;
    for (const piece of rest) {
      const found = ticker.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return ticker.length - last.length >= at && ticker.endsWith(last);
  };
}
