/**
 * One change of a client's subscriptions: brings those that were opened to where the updates are, a
 * few at a time.
 */
import { RequestError } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Start } from "../stream/starting-point.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import type { Subscription } from "../stream/subscription.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import type { Turns } from "./turns.ts";

/** Subscriptions of one socket that begin at once; the others wait their turn. */
const BEGIN_AT_ONCE = 8;
/** Tickers whose commits are asked for ahead of that, so that the questions travel together. */
const PREPARED_AHEAD = 256;
/** How long a subscription waits for a database that is away, and how often it asks. */
const BEGIN_WAIT_MAX_MS = 10_000;
const BEGIN_RETRY_MS = 250;

/** A subscription that was opened, and how it begins. */
export interface Beginning {
  subscription: Subscription;
  start: Start;
}

/** The client whose subscriptions they are. */
export interface Beginner {
  readonly open: boolean;
  /** The client's subscription to the ticker, if it still is this one. */
  isCurrent(subscription: Subscription): boolean;
  /** It couldn't begin. */
  drop(subscription: Subscription): void;
  /** Once more, in place of one that couldn't begin. */
  reopen(subscription: Subscription): Subscription;
}

/** Of those that didn't begin: why the last one didn't, and which. */
export interface Failed {
  tickers: string[];
  why: string;
}

/**
 * Resolves when all have begun, have left, or failed; and when nothing that was asked for them is
 * under way any more, so that a client can't begin faster than it is done.
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
      // Where reads take no turn of the event loop, hundreds of them would leave none to the
      // others.
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
 * A database that is away is asked again, from where the client is by then.
 *
 * @throws what it failed with at the deadline.
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
      // Meanwhile the client may have ended it, or begun it elsewhere; other types stand in it.
      if (!client.open || !client.isCurrent(subscription)) return;
      // Of all tickers it has got too much already to begin once more: the client knows where it
      // is.
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
