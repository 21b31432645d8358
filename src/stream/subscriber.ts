/** The subscriber as this folder sees it; websocket/ implements it. */
import type { Update } from "../storage/update-contract.ts";
import type { FrameForm } from "./frame-form.ts";
import type { Subscription } from "./subscription.ts";

/** Stands for all tickers. No ticker is empty. */
export const ALL_TICKERS = "";

export interface Subscriber {
  readonly open: boolean;
  /** Stays as it is while there are subscriptions. */
  readonly form: FrameForm;
  /** It can't listen to topics: it gets all through `hear`. */
  readonly hearsAlone: boolean;
  /** True while updates must be delivered one by one: see `deliverDirectly`. */
  readonly slow: boolean;
  /** Kept by the subscriber, which looks them up by ticker anyway. */
  readonly subscriptions: Iterable<Subscription>;
  subscriptionTo(ticker: string): Subscription | undefined;
  /** Sends a frame that is no update. */
  send(text: string): void;
  /** The next update. The client's choice decides whether it is held back, folded or dropped. */
  deliver(ticker: string, update: Update, text: string): void;
  /** Positions whose content is lost, in order; never dropped. */
  deliverGap(ticker: string, from: number, to: number, text: string): void;
  /** Follows a gap, in order; a newer snapshot of the ticker may replace it. */
  deliverSnapshot(ticker: string, position: number, text: string): void;
  /** The first position of the ticker that is held back, or undefined. */
  waitsFrom(ticker: string): number | undefined;
  /** An update from the log that the client asked for: never folded or dropped. */
  recover(text: string): void;
  /** Resolves when there is room for more of them, or the subscriber is closed. */
  room(): Promise<void>;
  /**
   * Takes what `publish` would bring, while it is the sole listener, or hears alone.
   * @param rows 1 for an update or a bar.
   */
  hear(text: string, rows: number): void;
  listen(topic: string): void;
  unlisten(topic: string): void;
  /** Ends the connection: the client has to connect again, as it can't be told what it missed. */
  restart(): void;
}
