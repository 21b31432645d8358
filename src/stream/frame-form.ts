/** How frames are written. Each client has one form; most have `SENT`. */
import type { FeedNotice, LeftOutFeeds } from "../feeds/feed.ts";
import { toWire } from "../market/timestamp.ts";
import {
  allHeartbeatFrame,
  feedFrame,
  feedsLeftOutFrame,
  type GapReason,
  gapFrame,
  heartbeatFrame,
  initialPriceFrame,
  type NotRecovered,
  notRecoveredFrame,
  type Position,
  positioned,
  recoveredFrame,
  snapshotFrame,
} from "../protocol/frames.ts";
import type { TickerSnapshot, Update } from "../storage/update-contract.ts";
import { snapshotJson } from "./snapshot-json.ts";

/** Where a client is told that it is: all of the given tickers, at these positions. */
export interface Heartbeat {
  now: Date;
  positions: Iterable<[ticker: string, position: number]>;
  epoch: string;
  /** False: the database hasn't confirmed the positions lately. */
  isVerified: boolean;
}

export interface FrameForm {
  /** Begins the names of topics of this form; no filter's key begins so. */
  readonly key: string;
  /** A socket gets one heartbeat for all its tickers. False: one for each. */
  readonly beatsOnce: boolean;
  /** May take long for an update of thousands of rows: called once an update, form and worker. */
  update(ticker: string, update: Update, epoch: string): string;
  price(ticker: string, price: number, now: Date, position: Position): string;
  snapshot(ticker: string, snapshot: TickerSnapshot, epoch: string): string;
  /** The updates from `from` to `to` follow; none when `to` is less. */
  recovered(ticker: string, from: number, to: number, epoch: string): string;
  notRecovered(ticker: string, why: NotRecovered, snapshot: TickerSnapshot, epoch: string): string;
  gap(ticker: string, range: { from: number; to: number }, reason: GapReason, epoch: string): string;
  feed(notice: FeedNotice, now: Date, epoch: string): string;
  feedsLeftOut(leftOut: LeftOutFeeds, epoch: string): string;
  heartbeat(ticker: string, position: number, beat: Omit<Heartbeat, "positions">): string;
  heartbeats(beat: Heartbeat): string;
}

/** Updates as their writers have sent them. */
export const SENT: FrameForm = {
  key: "",
  beatsOnce: false,
  update: (_ticker, { frame, position }) => positioned(frame, position),
  price: initialPriceFrame,
  snapshot: (ticker, snapshot, epoch) =>
    snapshotFrame(ticker, snapshotJson(snapshot), { seq: snapshot.position, epoch }),
  recovered: recoveredFrame,
  notRecovered: (ticker, why, snapshot, epoch) =>
    notRecoveredFrame(ticker, why, snapshotJson(snapshot), { seq: snapshot.position, epoch }),
  gap: (ticker, { from, to }, reason) => gapFrame(ticker, from, to, reason),
  feed: (notice, now, epoch) => feedFrame(notice.ticker, feedMembers(notice, now), epoch),
  feedsLeftOut: feedsLeftOutFrame,
  heartbeat: (ticker, seq, { now, epoch, isVerified }) =>
    heartbeatFrame(ticker, now, { seq, epoch }, isVerified),
  heartbeats: ({ now, positions, epoch, isVerified }) => allHeartbeatFrame(now, positions, epoch, isVerified),
};

/** The same, with one heartbeat for all tickers of a socket. */
export const SENT_BEATING_ONCE: FrameForm = { ...SENT, key: "h", beatsOnce: true };

/** What every form tells of a feed. */
export function feedMembers(notice: FeedNotice, now: Date): { type: string } & Record<string, unknown> {
  const { isStale, type, interval, heardMs, stamp, reason } = notice;
  return {
    type: isStale ? "feed_stale" : "feed_alive",
    timestamp: now.toISOString(),
    data_type: type,
    ...(interval === null ? {} : { interval }),
    received: new Date(heardMs).toISOString(),
    age: Math.max(0, now.getTime() - heardMs) / 1_000,
    newest: stamp === null ? null : toWire(stamp),
    ...(reason === null ? {} : { reason }),
  };
}

/** The texts of one frame, each made when a client of its form is there. */
export class Texts {
  readonly #make: (form: FrameForm) => string;
  #sent: string | null = null;
  #others: Map<string, string> | null = null;

  constructor(make: (form: FrameForm) => string) {
    this.#make = make;
  }

  of(form: FrameForm): string {
    if (form === SENT) {
      this.#sent ??= this.#make(form);
      return this.#sent;
    }
    this.#others ??= new Map();
    let text = this.#others.get(form.key);
    if (text === undefined) {
      text = this.#make(form);
      this.#others.set(form.key, text);
    }
    return text;
  }
}
