/** Names of the notes that keep how far the roll-ups of a ticker are. They go with the ticker. */

const PREFIX = "rollup/";
/** No name of a note of a ticker comes after it. */
export const TICKER_NOTES = { from: PREFIX, to: `${PREFIX}${String.fromCodePoint(0x10ffff)}` };

export function noteName(ticker: string): string {
  return PREFIX + ticker;
}

export function tickerOfNote(name: string): string {
  return name.slice(PREFIX.length);
}
