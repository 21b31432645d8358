/** One change of a client's subscriptions: begins the opened ones, a few at a time. */
import { RequestError } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Start } from "../stream/starting-point.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import type { Subscription } from "../stream/subscription.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import type { Turns } from "./turns.ts";

/** Subscriptions of one socket that begin at once; the others wait their turn. */
const BEGIN_AT_ONCE = 8;
/** The hub is asked for this many tickers' commits ahead, so that the questions travel together. */
const PREPARED_AHEAD = 256;
/** How long a subscription retries when the database is unavailable, and how often. */
const BEGIN_WAIT_MAX_MS = 10_000;
const BEGIN_RETRY_MS = 250;

export interface Beginning {
  subscription: Subscription;
  start: Start;
}

export interface Beginner {
  readonly open: boolean;
  /** Whether this is still the client's subscription to its ticker. */
  isCurrent(subscription: Subscription): boolean;
  /** Called when it couldn't begin. */
  drop(subscription: Subscription): void;
  /** Opens another in place of one that couldn't begin. */
  reopen(subscription: Subscription): Subscription;
}

/** The tickers that didn't begin, and why the last one didn't. */
export interface Failed {
  tickers: string[];
  why: string;
}

/**
 * Resolves when all have begun, left or failed, and nothing asked for them is under way: so a
 * client can't begin faster than the work is done.
 *
 * @returns null when none failed.
 */
export async function beginAll(
  beginnings: readonly Beginning[],
  client: Beginner,
  { subscriptions, turns }: { subscriptions: Subscriptions; turns: Turns },
): Promise<Failed | null> {
  const failed: Failed = { tickers: [], why: "" };
  const deadline = performance.now() + BEGIN_WAIT_MAX_MS;
  const prepared: Promise<void>[] = [];
  const prepareTo = (end: number): void => {
    while (prepared.length < Math.min(end, beginnings.length) && client.open)
      prepared.push(subscriptions.prepare(beginnings[prepared.length]!.subscription));
  };
  const queue = beginnings.entries();
  const beginInTurn = async (): Promise<void> => {
    for (const [i, beginning] of queue) {
      if (!client.open) return;
      if (beginning.subscription.hasLeft) continue;
      prepareTo(i + PREPARED_AHEAD);
      // Reads that answer synchronously would otherwise hold the event loop.
      const turn = turns.take();
      if (turn !== null) await turn;
      try {
        await beginOne(beginning, { client, subscriptions, deadline });
      } catch (error) {
        failed.why = messageOf(error);
        failed.tickers.push(beginning.subscription.ticker);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(BEGIN_AT_ONCE, beginnings.length) }, beginInTurn));
  await Promise.all(prepared);
  return failed.tickers.length === 0 ? null : failed;
}

/**
 * Retries while the database is unavailable, each time from where the client is by then.
 *
 * @throws the last error at the deadline.
 */
async function beginOne(
  { subscription, start }: Beginning,
  of: { client: Beginner; subscriptions: Subscriptions; deadline: number },
): Promise<void> {
  const { client, subscriptions, deadline } = of;
  const { ticker } = subscription;
  for (;;) {
    try {
      await subscriptions.begin(subscription, start);
      return;
    } catch (error) {
      // The client may meanwhile have ended it, or begun it again from elsewhere.
      if (!client.open || !client.isCurrent(subscription)) return;
      // A subscription to all tickers has been sent too much to begin again; the client knows its
      // positions.
      const isOver = ticker === ALL_TICKERS || performance.now() > deadline;
      if (isOver || !(error instanceof RequestError)) {
        client.drop(subscription);
        throw error;
      }
      const epoch = subscriptions.knownEpoch;
      await Bun.sleep(BEGIN_RETRY_MS);
      if (!client.open || !client.isCurrent(subscription)) return;
      const told = subscription.readTo(ticker) ?? null;
      if (told !== null) start = { kind: "since", since: { position: told }, epoch };
      subscription = client.reopen(subscription);
    }
  }
}
