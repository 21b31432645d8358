/** The channels of a stream, and which of them a client has for which ticker. */
import { ALL_TICKERS } from "../stream/subscriber.ts";

/** Those that are told of rows; the others exist, and have nothing to tell. */
export const DATA_CHANNELS = ["trades", "quotes", "bars", "updatedBars", "dailyBars"] as const;
const SILENT_CHANNELS = ["statuses", "lulds", "imbalances"] as const;
/** They follow `trades`, whatever a client asks for. */
const FOLLOWING_TRADES = ["corrections", "cancelErrors"] as const;
const CHANNELS = [...DATA_CHANNELS, ...SILENT_CHANNELS];

export type DataChannel = (typeof DATA_CHANNELS)[number];
export type Channel = (typeof CHANNELS)[number];

/** Tickers by channel, `ALL_TICKERS` among them. */
export type ChannelNames = ReadonlyMap<Channel, readonly string[]>;

export function channelNamed(name: string): Channel | "follows" | null {
  if (FOLLOWING_TRADES.some((following) => following === name)) return "follows";
  return CHANNELS.find((channel) => channel === name) ?? null;
}

export class ChannelList {
  readonly #names = new Map<Channel, Set<string>>(CHANNELS.map((channel) => [channel, new Set()]));

  has(channel: Channel, ticker: string): boolean {
    return this.#names.get(channel)!.has(ticker);
  }

  /** The data channels of a ticker. */
  dataChannels(ticker: string): DataChannel[] {
    return DATA_CHANNELS.filter((channel) => this.has(channel, ticker));
  }

  /** Different tickers, those of silent channels included. */
  get tickers(): ReadonlySet<string> {
    const tickers = new Set<string>();
    for (const names of this.#names.values()) for (const name of names) tickers.add(name);
    return tickers;
  }

  add(names: ChannelNames): void {
    for (const [channel, tickers] of names)
      for (const ticker of tickers) this.#names.get(channel)!.add(ticker);
  }

  remove(names: ChannelNames): void {
    for (const [channel, tickers] of names)
      for (const ticker of tickers) this.#names.get(channel)!.delete(ticker);
  }

  /** As a client is told: every channel, also where it is empty, as some clients expect. */
  shown(): Record<string, string[]> {
    const shown: Record<string, string[]> = {};
    for (const [channel, names] of this.#names) shown[channel] = [...names].map(shownTicker);
    for (const channel of FOLLOWING_TRADES) shown[channel] = shown.trades!;
    return shown;
  }
}

function shownTicker(ticker: string): string {
  return ticker === ALL_TICKERS ? "*" : ticker;
}
