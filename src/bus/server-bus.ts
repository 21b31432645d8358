/** A server's side of the bus: keeps a connection to the broker, and notices when there is none. */
import { type Backoff, backoffMs, jittered } from "../time/pauses.ts";
import { within } from "../time/within.ts";
import type { Bus, BusFeed, BusFigures, BusOptions, BusUpdate } from "./bus.ts";
import type { Carrier, Link } from "./carrier.ts";
import { inTime } from "./in-time.ts";
import { decodeMessage } from "./message.ts";
import { LINK_CLOSE_TIMEOUT_MS, openLink, PROBE_TIMEOUT_MS, reasonOf } from "./open-link.ts";
import { type Accounts, countDropped, Outbox } from "./outbox.ts";

const PROBE_INTERVAL_MS = 1_000;
const RETRY: Backoff = { firstMs: 100, maxMs: 5_000 };
const DRAIN_TIMEOUT_MS = 1_000;

type Served = Pick<BusOptions, "channel" | "receive" | "receiveFeeds" | "missed" | "log">;

export class ServerBus implements Bus {
  readonly #carrier: Carrier;
  readonly #options: Served;
  readonly #id = crypto.randomUUID();
  readonly #accounts: Accounts = { published: 0, dropped: 0, owesNotice: false };
  readonly #closing = Promise.withResolvers<null>();
  #closed = false;
  #outbox: Outbox | null = null;
  #running: Promise<void> | null = null;
  #received = 0;
  #connections = 0;
  #lastWarning = "";
  #warnedOfStrangers = false;

  constructor(carrier: Carrier, options: Served) {
    this.#carrier = carrier;
    this.#options = options;
  }

  start(): Promise<void> {
    const attempted = Promise.withResolvers<void>();
    this.#running = this.#keepConnected(attempted.resolve);
    return attempted.promise;
  }

  publish(updates: readonly BusUpdate[]): void {
    if (this.#outbox === null) countDropped(this.#accounts, updates.length);
    else this.#outbox.push(updates);
  }

  publishFeeds(feeds: readonly BusFeed[]): void {
    this.#outbox?.pushFeeds(feeds);
  }

  figures(): BusFigures {
    return {
      connected: this.#outbox !== null,
      published: this.#accounts.published,
      received: this.#received,
      dropped: this.#accounts.dropped,
      reconnects: Math.max(0, this.#connections - 1),
    };
  }

  async close(): Promise<void> {
    const drained = this.#outbox?.drain() ?? Promise.resolve();
    // Late ones are dropped, and counted, with the connection.
    await inTime(drained, DRAIN_TIMEOUT_MS, "not sent").catch(() => undefined);
    this.#closed = true;
    this.#closing.resolve(null);
    await this.#running;
  }

  async #keepConnected(attempted: () => void): Promise<void> {
    let failures = 0;
    let reconnecting = false;
    while (!this.#closed) {
      const lost = Promise.withResolvers<string>();
      const link = await this.#tryToOpen(lost.resolve);
      if (this.#closed) {
        if (link !== null) await shut(link);
        break;
      }
      if (link !== null) {
        const openedAtMs = performance.now();
        this.#begin(link, { reconnecting, lost: lost.resolve });
        attempted();
        await this.#useUntilLost(link, lost.promise);
        // A broker that takes connections and ends them at once is not asked all the time.
        if (performance.now() - openedAtMs > RETRY.maxMs) failures = 0;
      }
      reconnecting = true;
      attempted();
      await within(this.#closing.promise, jittered(backoffMs(RETRY, failures++)), () => null);
    }
    attempted();
  }

  async #tryToOpen(lost: (reason: string) => void): Promise<Link | null> {
    try {
      const events = { message: (text: string) => this.#receive(text), lost };
      return await openLink(this.#carrier, this.#options.channel, events);
    } catch (error) {
      this.#warn(`can't be reached: ${reasonOf(error, this.#carrier)}`);
      return null;
    }
  }

  #begin(link: Link, { reconnecting, lost }: { reconnecting: boolean; lost(reason: string): void }): void {
    const { sendsAtOnce, carriesFrames, shown } = this.#carrier;
    this.#connections++;
    this.#lastWarning = "";
    this.#outbox = new Outbox({
      link,
      sendsAtOnce,
      carriesFrames,
      from: this.#id,
      accounts: this.#accounts,
      failed: (error) => lost(`a message could not be sent: ${reasonOf(error, this.#carrier)}`),
    });
    this.#options.log.info(`bus ${shown}: connected`);
    if (reconnecting) this.#options.missed();
  }

  async #useUntilLost(link: Link, lost: Promise<string>): Promise<void> {
    const over = new AbortController();
    const silent = this.#watch(link, over.signal);
    const reason = await Promise.race([lost, silent, this.#closing.promise]);
    over.abort();
    this.#outbox?.close();
    this.#outbox = null;
    if (reason !== null) this.#warn(`lost: ${reasonOf(reason, this.#carrier)}`);
    await shut(link);
  }

  /** Resolves with a reason when the broker stops answering. */
  async #watch(link: Link, over: AbortSignal): Promise<string> {
    for (;;) {
      await Bun.sleep(PROBE_INTERVAL_MS);
      if (over.aborted) return "";
      try {
        await inTime(link.probe(), PROBE_TIMEOUT_MS, "no answer");
      } catch (error) {
        return reasonOf(error, this.#carrier);
      }
    }
  }

  #receive(text: string): void {
    const message = decodeMessage(text);
    if (message === null) {
      if (!this.#warnedOfStrangers)
        this.#options.log.warning(
          `bus ${this.#carrier.shown}: another program sends on this server's channel, or a server of another version; such messages are ignored`,
        );
      this.#warnedOfStrangers = true;
      return;
    }
    if (message.from === this.#id || this.#closed) return;
    this.#received += message.updates.length;
    if (message.updates.length > 0) this.#options.receive(message.updates);
    if (message.feeds.length > 0) this.#options.receiveFeeds(message.feeds);
    if (message.missed) this.#options.missed();
  }

  /** Logs each new reason once, however many attempts fail with it. */
  #warn(what: string): void {
    if (this.#lastWarning === what) return;
    this.#lastWarning = what;
    this.#options.log.warning(
      `bus ${this.#carrier.shown}: ${what}; trying again, updates of other servers come late`,
    );
  }
}

async function shut(link: Link): Promise<void> {
  // There is nothing to be done about a connection that won't even close.
  await inTime(link.close(), LINK_CLOSE_TIMEOUT_MS, "not closed").catch(() => undefined);
}
