/**
 * The id of an event in a stream: how far the client has everything of each of its tickers. A
 * browser sends the last one back when it reconnects, as `Last-Event-ID`.
 *
 * `1.<epoch>.<print of the tickers>.<position>.<position>…`, positions in the order of the tickers
 * in the URL, to base 36, empty where the client has nothing yet. So its length is bounded by the
 * number of tickers and not by their names, and a header can hold it.
 */

const VERSION = "1";
const BASE = 36;
const EPOCH = /^[\w-]{1,64}$/;
const POSITION = /^[0-9a-z]{1,11}$/;
/** Of no database: positions with it are refused as those of another one. */
const NO_EPOCH = "unknown";

/** Where a client comes back. */
export interface EventPlace {
  epoch: string;
  /** Tickers of which the client has nothing are left out. */
  positions: Map<string, number>;
}

export class EventIds {
  readonly #tickers: readonly string[];
  readonly #print: string;

  constructor(tickers: readonly string[]) {
    this.#tickers = tickers;
    this.#print = Bun.hash(JSON.stringify(tickers)).toString(BASE);
  }

  /** @param positionOf null: the client has nothing of the ticker yet. */
  idOf(epoch: string, positionOf: (ticker: string) => number | null): string {
    const positions = this.#tickers.map((ticker) => positionOf(ticker)?.toString(BASE) ?? "");
    return [VERSION, epoch, this.#print, ...positions].join(".");
  }

  /**
   * One that isn't an id of these tickers stands for positions of another database: the client is
   * told that it can't go on from there.
   */
  placeOf(id: string): EventPlace {
    const [version, epoch = "", print, ...positions] = id.split(".");
    const isOwn = version === VERSION && EPOCH.test(epoch) && print === this.#print;
    const read = positions.map(readPosition);
    if (!isOwn || read.length !== this.#tickers.length || read.includes(undefined))
      return { epoch: NO_EPOCH, positions: new Map(this.#tickers.map((ticker) => [ticker, 0])) };
    const known = this.#tickers.flatMap((ticker, index): [string, number][] => {
      const position = read[index];
      return typeof position === "number" ? [[ticker, position]] : [];
    });
    return { epoch, positions: new Map(known) };
  }
}

/** Null: none; undefined: no position. */
function readPosition(text: string): number | null | undefined {
  if (text === "") return null;
  const position = POSITION.test(text) ? Number.parseInt(text, BASE) : Number.NaN;
  return Number.isSafeInteger(position) ? position : undefined;
}
