/** Who watches, and what: the terms of this folder. */
import type { Update } from "../storage/update-contract.ts";
import type { TypeFilter } from "./type-filter.ts";

/** Instead of a ticker: all of them. No ticker is empty. */
export const ALL_TICKERS = "";

export interface Subscriber {
  readonly open: boolean;
  /** True while updates have to be handed to it one by one: see `handOver`. */
  readonly slow: boolean;
  /** A frame that is no update. */
  send(text: string): void;
  /** An update in its turn; it may be held back, folded or dropped as the client chose. */
  deliver(ticker: string, update: Update, text: string): void;
  /** Positions whose content can't be known, in their turn; never dropped. */
  deliverGap(ticker: string, from: number, to: number, text: string): void;
  /** What follows a gap, in its turn; a newer one of the ticker may take its place. */
  deliverSnapshot(ticker: string, seq: number, text: string): void;
  /** The first position of the ticker that is held back; undefined where none is. */
  waitsFrom(ticker: string): number | undefined;
  /** An update that was asked for, read from the log: it is never folded or dropped. */
  recover(text: string): void;
  /** Resolves when there is room for more of them; also when it is closed. */
  room(): Promise<void>;
  /** From here on `publish` of the topic reaches it. */
  listen(topic: string): void;
  unlisten(topic: string): void;
  /** It can't be told what it missed: it has to connect again. */
  restart(): void;
}

/** One subscriber's interest in one ticker, or in all. */
export interface Subscription {
  readonly ticker: string;
  readonly subscriber: Subscriber;
  filter: TypeFilter;
  /** Joining: reads what it missed. Handed: gets updates one by one. Listening: through the topic. Left. */
  state: "joining" | "handed" | "listening" | "left";
  /** Positions that it has beyond those of the feed, by ticker: from a snapshot or the log. */
  readonly ahead: Map<string, number>;
  /** Tickers that it is still reading from the log, and how far it has come; null: it has been told nothing yet. */
  readonly behind: Map<string, number | null>;
  /** Of a subscription to all: tickers that have moved since it last listened, of which no heartbeat has told it. */
  readonly moved: Set<string>;
}

/** It may have done so during any wait. */
export function hasLeft({ state }: Subscription): boolean {
  return state === "left";
}

export function isAhead({ ahead }: Subscription, ticker: string, position: number): boolean {
  const known = ahead.get(ticker);
  return known !== undefined && position <= known;
}
