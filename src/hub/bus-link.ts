/** The hub's connection to the servers that share its database. Workers name the database. */
import type { Bus, BusFeed, BusFigures, BusOptions, ReceivedUpdate } from "../bus/bus.ts";
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { CommittedEntry } from "./messages.ts";

export interface BusLinkOptions {
  /** Meets the database's other servers under this name; null without `--bus`. */
  open:
    | ((channel: string, heard: Pick<BusOptions, "receive" | "receiveFeeds" | "missed">) => Promise<Bus>)
    | null;
  receive(updates: ReceivedUpdate[]): void;
  receiveFeeds(feeds: BusFeed[]): void;
  /** Updates of other servers may have been missed. */
  missed(): void;
  log: LogLines;
}

export class BusLink {
  readonly #options: BusLinkOptions;
  #bus: Bus | null = null;
  #channel: string | null = null;
  #closed = false;

  constructor(options: BusLinkOptions) {
    this.#options = options;
  }

  /** The first worker that knows the database names the channel, which another database changes. */
  join(channel: string): void {
    const { open, receive, receiveFeeds, missed, log } = this.#options;
    if (open === null || channel === this.#channel || this.#closed) return;
    this.#channel = channel;
    const before = this.#bus;
    this.#bus = null;
    void before?.close();
    open(channel, { receive, receiveFeeds, missed }).then(
      (opened) => {
        if (this.#channel !== channel || this.#closed) {
          void opened.close();
          return;
        }
        this.#bus = opened;
        missed();
      },
      (error) => {
        log.error(`Hub: no bus: ${messageOf(error)}`);
      },
    );
  }

  publish(updates: CommittedEntry[]): void {
    this.#bus?.publish(updates.map(([ticker, update]) => ({ ticker, update })));
  }

  publishFeeds(feeds: readonly BusFeed[]): void {
    this.#bus?.publishFeeds(feeds);
  }

  figures(): BusFigures | null {
    return this.#bus?.figures() ?? null;
  }

  stop(): void {
    this.#closed = true;
  }

  async close(): Promise<void> {
    await this.#bus?.close();
  }
}
