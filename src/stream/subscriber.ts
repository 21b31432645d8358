/** Who watches: the terms of this folder. */
import type { Update } from "../storage/update-contract.ts";
import type { Subscription } from "./subscription.ts";

/** Instead of a ticker: all of them. No ticker is empty. */
export const ALL_TICKERS = "";

export interface Subscriber {
  readonly open: boolean;
  /** True while updates have to be handed to it one by one: see `handOver`. */
  readonly slow: boolean;
  /**
   * What it has opened and not left. Kept by the subscriber, which looks them up by ticker anyway.
   */
  readonly subscriptions: Iterable<Subscription>;
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
  /** What `publish` would bring it, while it is the only one that listens. */
  hear(text: string): void;
  /** From here on `publish` of the topic reaches it. */
  listen(topic: string): void;
  unlisten(topic: string): void;
  /** It can't be told what it missed: it has to connect again. */
  restart(): void;
}
